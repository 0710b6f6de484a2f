//! Ken's network is Ken's: a definition that was edited since it was made is no reason to replace it.

use std::fs;

use ken_tests::{KenStack, Xtask, command, rig_or_skip};

#[test]
fn an_edited_definition_never_makes_compose_replace_kens_network() -> anyhow::Result<()> {
    let rig = rig_or_skip!();
    let ken = KenStack::start(rig)?;
    let xtask = Xtask::beside(&ken)?;
    let network =
        || command::docker(["network", "inspect", "-f", "{{.Id}}", &format!("{}_default", ken.name())]);
    let (before, id) = ((ken.container("ken")?, ken.container("postgres")?), network()?);
    // Compose alone would stop what is on the network, and make it anew.
    let mut text = fs::read_to_string(ken.compose_file())?;
    text.push_str("\nnetworks:\n  default:\n    labels:\n      edited: \"yes\"\n");
    fs::write(ken.compose_file(), &text)?;
    xtask.deploy(&[])?.exits(0)?;
    assert_eq!(network()?, id);
    assert_eq!((ken.container("ken")?, ken.container("postgres")?), before);
    assert_eq!(ken.conversations()?, 42);
    xtask.deploy(&[])?.exits(0)?.says(&["nothing to do"])?;
    xtask.purge()?.exits(0)?;
    assert_eq!(fs::read_to_string(ken.compose_file())?, text);
    assert_eq!(network()?, id);
    ken.finish()
}
