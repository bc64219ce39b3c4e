//! Private keys and what is made with them: generation, sealing, requests, certificates, chains.
