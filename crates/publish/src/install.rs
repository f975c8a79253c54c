//! Installing from a release host.
