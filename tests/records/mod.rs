//! Records that somebody changed, moved or removed in the database: each is refused by name, through the REST API and
//! the use cases, and the rest goes on. Stores of versions before authentication codes are taken over.

mod authorities;
mod cas;
mod damage;
mod doctor;
mod edits;
mod exportable;
mod moves;
mod place;
mod reseal;
mod rights;
mod start;
mod takeover;
mod upgrade;
mod vaults;
