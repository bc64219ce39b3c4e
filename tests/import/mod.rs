//! Certificates with their keys on the way in and out: files of OpenSSL and Java can be read, they can read ours, and
//! hostile files are refused in bounded time.

mod export;
mod foreign;
mod forms;
mod given;
mod hostile;
mod keys;
mod odd;
mod producers;
mod refusals;
mod strict;
mod tools;
