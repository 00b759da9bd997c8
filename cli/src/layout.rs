//! Where things are: the project's folders, a stack's data folder, its ports.
