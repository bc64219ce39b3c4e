// All tests in one browser.

import "./grpc_web.js";
import "./rest.js";
