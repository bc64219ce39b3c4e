//! Certificates with their keys on the way in and out: what OpenSSL and Java write is read, what is
//! written they read, and what strangers send is refused in bounded time.

mod export;
mod forms;
mod hostile;
mod refusals;
mod strict;
mod tools;
