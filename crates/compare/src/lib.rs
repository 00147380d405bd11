//! Compares revisions of a Cargo workspace: slots, schedule, verdict, gate, log.
