//! smidgen-server.
