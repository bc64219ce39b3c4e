import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ProtoGrpcType as Certmint } from "./gen/certificate_service.js";
import type { ProtoGrpcType as GoogleRpc } from "./gen/status.js";

/** The contract, and what errors carry; read when the program starts. `npm run generate` makes the types of it. */
const files = ["certmint/v1/certificate_service.proto", "google/rpc/status.proto", "google/rpc/error_details.proto"];
const folders = ["../../proto", "node_modules/google-proto-files"];

const definition = loadSync(files, {
  includeDirs: folders.map((folder) => new URL(`../${folder}`, import.meta.url).pathname),
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true, // else nothing says which payload a message has
  json: true, // opens google.protobuf.Any
});

export const { certmint, google } = loadPackageDefinition(definition) as unknown as Certmint & GoogleRpc;
