//! The eleven scenarios over both faces of one server, and their answers compared member by member.

mod compared;
mod face;
mod issuers;
mod scenarios;
mod translated;
