//! Certificates with their keys on the way in and out: what OpenSSL and Java write is read, what is
//! written they read, and what strangers send is refused in bounded time.

mod export;
mod foreign;
mod forms;
mod given;
mod hostile;
mod odd;
mod producers;
mod refusals;
mod strict;
mod tools;
