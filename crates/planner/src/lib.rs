//! Which dates a recurrence rule gives, and what a line of quick add means: pure rules, without a clock, chance and I/O.

#[cfg(test)]
mod fuzz;
pub mod quick_add;
pub mod recurrence;
