//! The pages in a real Chromium: light and dark, narrow and wide, with and without their script.
//!
//! With `KEN_SCREENSHOTS` set to a folder, what was seen is left there.

use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::browser::{Browser, Scheme};
use crate::support::{TestServer, export_of_span};
use crate::traces_seed;

/// 2026-11-20T10:00:00Z, when the newest of the made-up traces ended a minute ago.
const NOW_MS: i64 = 1_795_168_800_000;
/// The widths of a telephone and of a desk.
const WIDTHS: [u32; 2] = [380, 1_360];

/// Everything that is wrong with the page as it stands; empty when it can be read.
const AUDIT: &str = r##"(() => {
  const findings = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth + 1) {
    const wide = [...document.querySelectorAll("body *")]
      .filter((it) => it.getBoundingClientRect().right > root.clientWidth + 1)
      .slice(0, 3).map((it) => it.tagName + "." + it.className);
    findings.push(`the page is ${root.scrollWidth} wide in ${root.clientWidth}: ${wide}`);
  }
  const channels = (text) => {
    const numbers = (text.match(/[\d.]+/g) ?? []).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return { rgb: numbers.slice(0, 3).map((it) => it * scale), alpha: numbers[3] ?? 1 };
  };
  const over = (top, below) => top.rgb.map((it, at) => it * top.alpha + below[at] * (1 - top.alpha));
  const backgroundOf = (element) => {
    const layers = [];
    for (let it = element; it; it = it.parentElement) layers.push(channels(getComputedStyle(it).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((it) => it / 255).map((it) => it <= 0.03928 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let texts = 0;
  for (const element of document.querySelectorAll("body *")) {
    if (element.closest("svg, datalist, script, .away") || element.tagName === "OPTION") continue;
    const own = [...element.childNodes].some((it) => it.nodeType === 3 && it.data.trim() !== "");
    const style = getComputedStyle(element);
    if (!own || !element.checkVisibility() || style.visibility === "hidden") continue;
    texts += 1;
    const below = backgroundOf(element);
    const [one, other] = [luminance(over(channels(style.color), below)), luminance(below)];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) findings.push(`contrast ${contrast.toFixed(2)}: ${element.tagName}.${element.className} ${element.textContent.trim().slice(0, 30)}`);
    if (parseFloat(style.fontSize) < 11) findings.push(`${style.fontSize}: ${element.textContent.trim().slice(0, 30)}`);
  }
  if (texts < 10) findings.push(`only ${texts} texts are visible`);
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, button")) {
    if (!field.labels?.length && !field.getAttribute("aria-label") && !field.textContent.trim()) findings.push(`no label: ${field.outerHTML.slice(0, 80)}`);
  }
  for (const table of document.querySelectorAll("table")) if (!table.caption) findings.push("a table without a caption");
  const foreign = performance.getEntriesByType("resource").map((it) => it.name).filter((it) => !it.startsWith(location.origin + "/assets/"));
  if (foreign.length) findings.push(`loaded: ${foreign}`);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const page = luminance(backgroundOf(document.body));
  if (dark ? page > 0.1 : page < 0.8) findings.push(`background ${page} in ${dark ? "dark" : "light"}`);
  return [...new Set(findings)];
})()"##;

async fn filled() -> TestServer {
    let server = TestServer::start(&[]).await;
    for batch in traces_seed::traces(120, NOW_MS).chunks(40) {
        let (status, body) = server.send(&traces_seed::export(batch.concat())).await;
        assert_eq!(status, 200, "{body}");
    }
    server
}

/// Leaves what is seen for an eye, where that is asked for.
async fn keep(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("KEN_SCREENSHOTS") else { return };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), browser.screenshot().await)
        .unwrap();
}

async fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let found = format!("[...document.querySelectorAll({selector:?})].map((it) => it.innerText)");
    serde_json::from_value(browser.value(&found).await).unwrap()
}

async fn visible(browser: &Browser, selector: &str) -> u64 {
    let count =
        format!("[...document.querySelectorAll({selector:?})].filter((it) => it.checkVisibility()).length");
    browser.value(&count).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_can_be_read_light_and_dark_narrow_and_wide() {
    let Some(browser) = Browser::start().await else { return };
    let server = filled().await;
    browser.client.goto(&server.url("/")).await.unwrap();
    let link = browser.value("document.querySelector('td.name a').getAttribute('href')").await;
    let trace = link.as_str().unwrap();
    let range = "from=2026-11-13T00:00&to=2026-11-21T00:00";
    let pages = [
        ("traces", "/".to_owned()),
        ("filters", "/traces?level=ERROR&channel=web&environment=production".to_owned()),
        ("nothing", "/traces?q=nowhere-at-all".to_owned()),
        ("refused", "/traces?from=yesterday".to_owned()),
        ("trace", trace.to_owned()),
        ("missing", "/trace/none".to_owned()),
        ("sessions", format!("/sessions?{range}")),
        ("charts", format!("/charts?{range}")),
    ];
    let mut findings = Vec::new();
    for scheme in [Scheme::Light, Scheme::Dark] {
        for width in WIDTHS {
            browser.look_like(scheme, width, 900).await;
            for (name, path) in &pages {
                let as_seen = format!("{name}-{}-{width}", scheme.name());
                browser.client.goto(&server.url(path)).await.unwrap();
                if *name == "trace" {
                    let open = "(() => { document.querySelectorAll('.observation > details')[1].open = true; return 1; })()";
                    browser.value(open).await;
                }
                keep(&browser, &as_seen).await;
                let found: Vec<String> = serde_json::from_value(browser.value(AUDIT).await).unwrap();
                findings.extend(found.into_iter().map(|it| format!("{as_seen}: {it}")));
                let console = browser.console().await;
                // A page that answers with a refusal is told to the console by Chromium itself.
                let said = console.iter().filter(|it| !it.contains("Failed to load resource"));
                findings.extend(said.map(|it| format!("{as_seen}: console: {it}")));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// An audit that finds nothing anywhere would prove nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_finds_what_is_wrong() {
    let Some(browser) = Browser::start().await else { return };
    browser.look_like(Scheme::Dark, 380, 900).await;
    let page = "<body style='background:white'><p style='color:silver;width:600px'>pale and wide</p>\
                <p style='font-size:8px'>small</p><input name=a><table><tr><td>1</table>";
    browser.client.goto(&format!("data:text/html,{page}")).await.unwrap();
    let found: Vec<String> = serde_json::from_value(browser.value(AUDIT).await).unwrap();
    for finding in [
        "the page is 608 wide in 380: P.",
        "contrast 1.8",
        "8px: small",
        "no label",
        "a table without",
        "only 3",
        "in dark",
    ] {
        assert!(found.iter().any(|it| it.contains(finding)), "{finding}: {found:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_everything_can_be_reached() {
    let Some(browser) = Browser::start().await else { return };
    let server = filled().await;
    browser.run_scripts(false).await;
    let client = &browser.client;
    client.goto(&server.url("/")).await.unwrap();
    assert_eq!(browser.value("document.documentElement.dataset.script ?? 'off'").await, "off");
    assert_eq!(texts(&browser, "tbody tr").await.len(), 50);

    // The search, by keyboard.
    let search = client.find(Locator::Css("input[type=search]")).await.unwrap();
    search.send_keys("上が").await.unwrap();
    browser.follow(async |_| search.send_keys(&Key::Enter.to_string()).await.unwrap()).await;
    assert_eq!(texts(&browser, "tbody tr").await.len(), 0);
    let search = client.find(Locator::Css("input[type=search]")).await.unwrap();
    search.clear().await.unwrap();
    search.send_keys("最高気温").await.unwrap();
    browser.click(Locator::Css("div.search button")).await;
    let found = texts(&browser, "tbody tr").await.len();
    assert!((1..50).contains(&found), "{found}");

    // A filter among the folded ones, and the way back.
    client.find(Locator::Css("form.filters summary")).await.unwrap().click().await.unwrap();
    let level = client.find(Locator::Css("select[name=level]")).await.unwrap();
    level.select_by_value("ERROR").await.unwrap();
    browser.click(Locator::Css(".fields button")).await;
    let levels = texts(&browser, "td.level").await;
    assert!(levels.len() < found && levels.iter().all(|it| it.starts_with("error")), "{levels:?}");
    browser.click(Locator::LinkText("Remove all")).await;
    assert_eq!(texts(&browser, "tbody tr").await.len(), 50);
    browser.click(Locator::Css("a[rel=next]")).await;
    assert!(client.current_url().await.unwrap().query().unwrap().contains("after="));

    // One trace; its texts unfold.
    browser.click(Locator::Css("td.name a")).await;
    assert!(visible(&browser, ".observation").await > 1);
    assert_eq!(visible(&browser, ".observation pre").await, 0);
    client.find(Locator::Css(".observation summary")).await.unwrap().click().await.unwrap();
    assert!(visible(&browser, ".observation pre").await > 0);

    for name in ["Sessions", "Charts"] {
        browser.click(Locator::LinkText(name)).await;
        assert_eq!(texts(&browser, "h1").await, [name]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_scripts_it_is_more_comfortable() {
    let Some(browser) = Browser::start().await else { return };
    let server = filled().await;
    let client = &browser.client;
    client.goto(&server.url("/")).await.unwrap();
    assert_eq!(browser.value("document.documentElement.dataset.script").await, "on");

    // Rows narrow while one types.
    let narrow = client.find(Locator::Css("p.tools input")).await.unwrap();
    narrow.send_keys("nightly vip").await.unwrap();
    let shown = visible(&browser, "tbody tr").await;
    assert!((1..50).contains(&shown), "{shown}");
    assert_eq!(texts(&browser, "p.tools span").await, [format!("{shown} of 50")]);
    narrow.send_keys(&format!("{}{}", Key::Backspace.to_string().repeat(11), Key::Escape)).await.unwrap();
    assert_eq!(visible(&browser, "tbody tr").await, 50);

    // By keyboard alone: two rows down, one up, into it.
    let press = async |key: &str| client.active_element().await.unwrap().send_keys(key).await.unwrap();
    browser.value("(document.activeElement.blur(), 1)").await;
    press("jjk").await;
    let (here, first) = (
        browser.value("document.activeElement.getAttribute('href')").await,
        browser.value("document.querySelector('td.name a').getAttribute('href')").await,
    );
    assert!(here == first && first.is_string(), "{here} {first}");
    browser.follow(async |_| press(&Key::Enter.to_string()).await).await;

    // Folding hides what is below, all at once or one.
    let all = visible(&browser, ".observation").await;
    let tool = async |text: &str| {
        let path = format!("//span[@data-tools]/button[text()='{text}']");
        client.find(Locator::XPath(&path)).await.unwrap().click().await.unwrap();
    };
    tool("Fold all").await;
    assert_eq!(visible(&browser, ".observation").await, 1);
    tool("Unfold all").await;
    assert_eq!(visible(&browser, ".observation").await, all);
    tool("Open all").await;
    assert_eq!(visible(&browser, ".observation > details[open]").await, all);
    tool("Close all").await;
    let fold = client.find(Locator::Css("button.fold")).await.unwrap();
    assert_eq!(fold.attr("aria-expanded").await.unwrap().as_deref(), Some("true"));
    client
        .find(Locator::Css(".observation > details > summary"))
        .await
        .unwrap()
        .send_keys(&Key::Left.to_string())
        .await
        .unwrap();
    assert_eq!(visible(&browser, ".observation").await, 1);
    assert_eq!(fold.attr("aria-expanded").await.unwrap().as_deref(), Some("false"));
    press("/").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
}

/// What a client sends is text, whatever it looks like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_a_client_runs_or_becomes_an_element() {
    let Some(browser) = Browser::start().await else { return };
    let server = TestServer::start(&[]).await;
    let hostile = [
        "<script>window.pwned=1</script>",
        "\"><img src=x onerror=window.pwned=1>",
        "</pre></textarea></title></script><svg onload=window.pwned=1>",
        "javascript:window.pwned=1",
        "'-window.pwned=1-'",
        "{{constructor.constructor('window.pwned=1')()}}",
        "\u{202e}<a href=javascript:window.pwned=1 autofocus onfocus=window.pwned=1>",
    ];
    const KEYS: [&str; 12] = [
        "langfuse.trace.name",
        "langfuse.session.id",
        "langfuse.user.id",
        "langfuse.trace.tags",
        "langfuse.trace.metadata.channel",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.observation.metadata",
        "langfuse.release",
        "langfuse.version",
        "langfuse.observation.status_message",
        "langfuse.observation.model.name",
    ];
    for (number, text) in hostile.iter().enumerate() {
        let attribute = |key: &str| json!({ "key": key, "value": { "stringValue": text } });
        let span = json!({
            "traceId": format!("{:032x}", number + 1), "spanId": format!("{:016x}", number + 1), "name": text,
            "startTimeUnixNano": format!("{}", NOW_MS * 1_000_000), "endTimeUnixNano": format!("{}", (NOW_MS + 5) * 1_000_000),
            "attributes": KEYS.map(attribute),
        });
        let (status, body) = server.send(&export_of_span(&span)).await;
        assert_eq!(status, 200, "{body}");
    }
    let mut paths: Vec<String> = [
        "/",
        "/sessions?from=2026-11-20T00:00&to=2026-11-21T00:00",
        "/charts?from=2026-11-20T00:00&to=2026-11-21T00:00",
    ]
    .map(str::to_owned)
    .into();
    paths.extend((1..=hostile.len()).map(|number| format!("/trace/{number:032x}")));
    for text in hostile {
        let asked: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        paths.push(format!("/traces?q={asked}&name={asked}&tag={asked}&from={asked}"));
    }
    for path in paths {
        browser.client.goto(&server.url(&path)).await.unwrap();
        browser.value("(document.querySelectorAll('details').forEach((it) => { it.open = true; }), 1)").await;
        let elements = "document.querySelectorAll('img, a[href^=\"javascript\" i], svg[onload], [onerror], [onfocus], script:not([src])').length";
        assert_eq!(browser.value(elements).await, 0, "{path}");
        assert_eq!(browser.value("window.pwned ?? null").await, Value::Null, "{path}");
    }
}
