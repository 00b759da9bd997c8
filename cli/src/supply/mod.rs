//! What Docket is made of: the crates and the Go modules in what is built, told as a software bill of materials; the licences
//! of the modules, and what the tests have of PyPI. (What Cargo.lock may have is cargo-deny's to say.)

mod crates;
mod modules;
mod requirements;
mod sbom;

pub use crates::{Crate, Crates};
pub use modules::{Module, linked};
pub use requirements::unpinned;
pub use sbom::bill;
