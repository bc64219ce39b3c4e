// Runs in the browser: calls of the gRPC API over gRPC-Web, with Connect-Web as it is published.

import { createFileRegistry, fromBinary, fromJson, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

const contract = await (await fetch("/contract.binpb")).arrayBuffer();
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, new Uint8Array(contract)));
const { method: methods } = registry.getService("certmint.v1.CertificateService");

function client(url, token) {
    const authorize = (next) => (request) => {
        if (token) request.header.set("authorization", `Bearer ${token}`);
        return next(request);
    };
    const transport = createGrpcWebTransport({ baseUrl: url, interceptors: [authorize] });
    return createClient(methods.watchPending.parent, transport);
}

const json = (schema, message) => toJson(schema, message, { registry });

/** The error as the library hands it out; details are those of google.rpc.Status. */
function told(cause) {
    const error = ConnectError.from(cause);
    const details = error.details.map(({ type, value }) => {
        const schema = registry.getMessage(type);
        return { type, ...json(schema, fromBinary(schema, value)) };
    });
    return { code: Code[error.code], message: error.rawMessage, details };
}

/** One call, its request and its answer in the JSON of protobuf; or its error. */
export async function call(url, token, method, request, options = {}) {
    const { input, output } = methods[method];
    try {
        const message = fromJson(input, request, { registry });
        return { answer: json(output, await client(url, token)[method](message, options)) };
    } catch (error) {
        return told(error);
    }
}

/**
 * Watches until an event has this status. Once the stream has caught up, it makes the call `then`: what comes after
 * was pushed.
 */
export async function watch(url, token, request, status, then) {
    const messages = [];
    const asked = fromJson(methods.watchPending.input, request, { registry });
    const end = new AbortController();
    try {
        for await (const message of client(url, token).watchPending(asked, { signal: end.signal })) {
            const shown = json(methods.watchPending.output, message);
            messages.push(shown);
            if (then && shown.bookmark?.reason === "BOOKMARK_REASON_CAUGHT_UP") {
                const called = await call(url, token, ...then);
                if (!called.answer) return { messages, ...called };
            }
            if (shown.event?.operation.status === status) end.abort();
        }
        return { messages };
    } catch (error) {
        return { messages, ...(!end.signal.aborted && told(error)) };
    }
}

/** A stream that the page leaves after its first message: it ends, and how. */
export async function leave(url, token, request) {
    const end = new AbortController();
    try {
        for await (const _ of client(url, token).watchPending(request, { signal: end.signal })) end.abort();
        return {};
    } catch (error) {
        return told(error);
    }
}
