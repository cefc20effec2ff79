//! The registry itself. (Written by its room's author.)
