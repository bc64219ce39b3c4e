//! The port, over real TLS on loopback: protocols, limits, slow peers, ages, and a stop that ends in time.

mod budget;
mod crowd;
mod drain;
mod hostile;
mod limits;
mod protocols;
mod support;
