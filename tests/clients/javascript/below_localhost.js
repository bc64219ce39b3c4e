// For NODE_OPTIONS: `*.localhost` is this machine (RFC 6761), but Debian's resolver does not know it.

import dns from "node:dns";

const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".localhost") ? "127.0.0.1" : host, ...rest);
