//! What the code runs on: instruction sets, caches, threads, fingerprint, ceilings.
