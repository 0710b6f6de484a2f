//! One file per group of sections: each reads its fields, then applies the defaults, last.

mod exposure;
mod images;
mod langfuse;
mod limits;
mod stores;

use toml::de::DeTable;

use crate::names;
use crate::policy::{Engine, Ken, Layout, Policy, Profile};
use crate::read::{Reader, Section};

/// The whole policy; what is wrong is noted in the reader, and a default stands in for it.
pub(crate) fn policy<'d>(reader: &mut Reader<'_>, table: &'d DeTable<'d>) -> Policy {
    let mut root = reader.root(table);
    let profile = reader
        .choice(
            &mut root,
            "profile",
            &[("dev", Profile::Dev), ("staging", Profile::Staging), ("production", Profile::Production)],
        )
        .or(Profile::Production);
    let default = Policy::default_for(profile);
    let engine = engine(reader, &mut root, profile, default.engine);
    let ken = ken(reader, &mut root, default.ken);
    let images = images::images(reader, &mut root, profile, default.images);
    let (exposure, lockout) = exposure::exposure(reader, &mut root);
    let storage = stores::storage(reader, &mut root);
    let postgres = stores::postgres(reader, &mut root, default.postgres);
    let clickhouse = stores::clickhouse(reader, &mut root, default.clickhouse);
    let redis = stores::redis(reader, &mut root);
    let langfuse = langfuse::langfuse(reader, &mut root, default.langfuse);
    let retention = limits::retention(reader, &mut root);
    let resources = limits::resources(reader, &mut root, default.resources);
    let sizing = limits::sizing(reader, &mut root, default.sizing);
    let gates = limits::gates(reader, &mut root, default.gates);
    if let Some(place) = lockout.filter(|_| !langfuse.sign_up) {
        reader.fault(
            &place,
            "would lock everybody out: the first user has a password only, and sign-up is closed to new ones",
            "langfuse.sign_up = true, or exposure.sso.settings.ALLOW_ACCOUNT_LINKING = true so that the first user \
             can sign in by the same e-mail address",
        );
    }
    reader.finish(&root);
    Policy {
        profile,
        engine,
        ken,
        images,
        exposure,
        storage,
        postgres,
        clickhouse,
        redis,
        langfuse,
        retention,
        resources,
        sizing,
        gates,
    }
}

/// Where it matters nothing stands in for Docker.
fn engine<'d>(reader: &mut Reader<'_>, root: &mut Section<'d>, profile: Profile, default: Engine) -> Engine {
    let choices = [("docker", Engine::Docker), ("local", Engine::Local), ("auto", Engine::Auto)];
    let field = reader.choice(root, "engine", &choices);
    let place = field.place().cloned();
    let engine = field.or(default);
    if let Some(place) = place.filter(|_| profile != Profile::Dev && engine != Engine::Docker) {
        reader.fault(
            &place,
            "is for a developer's machine: staging and production never fall back from Docker",
            "docker, or profile = \"dev\"",
        );
    }
    engine
}

fn ken<'d>(reader: &mut Reader<'_>, root: &mut Section<'d>, default: Ken) -> Ken {
    let mut section = reader.section(root, "ken");
    let compose_file = reader.text(&mut section, "compose_file", "the path of Ken's Compose file", |text| {
        if names::is_file_path(text) { Ok(text.into()) } else { Err("does not name a file".to_owned()) }
    });
    let layout = reader.choice(
        &mut section,
        "layout",
        &[("include", Layout::Include), ("merge", Layout::Merge), ("separate", Layout::Separate)],
    );
    let rule = "a service of the Compose file: letters, digits, `.`, `_` and `-`";
    let service = reader.name(&mut section, "service", rule, names::is_service);
    let postgres_service = reader.name(&mut section, "postgres_service", rule, names::is_service);
    reader.finish(&section);
    let place = service.place().or(postgres_service.place()).cloned();
    let ken = Ken {
        compose_file: compose_file.or(default.compose_file),
        layout: layout.or(default.layout),
        service: service.or(default.service),
        postgres_service: postgres_service.or(default.postgres_service),
    };
    if let Some(place) = place.filter(|_| ken.service == ken.postgres_service) {
        reader.fault(&place, "names Ken and its Postgres as one service", "two different services");
    }
    ken
}
