//! What Docket is made of: the crates that Cargo.lock pins, the Go modules in the built programs, and what the tests have of
//! PyPI. They are held to `deny.toml`, looked up among known holes, and told as a software bill of materials.

mod advisories;
mod crates;
mod modules;
mod requirements;
mod rules;
mod sbom;

pub use advisories::{Advisories, Advisory};
pub use crates::{Crate, Crates};
pub use modules::{Module, linked};
pub use requirements::unpinned;
pub use rules::Rules;
pub use sbom::bill;
