//! The host's tests beyond single functions: manifests, real components, the program itself.

mod guests;
mod manifests;
mod process;
mod support;
