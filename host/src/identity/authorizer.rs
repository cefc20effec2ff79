//! (Written by its room's author.)
