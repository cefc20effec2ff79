//! Builds every room once, from the configuration. (Written by its room's author.)
