// Runs in the browser: calls of the REST API by `fetch`.

/** The answer as far as the browser lets the page read it. */
export async function call(url, { method = "GET", token, body, headers = {} } = {}) {
    const sent = new Headers(headers);
    if (token) sent.set("authorization", `Bearer ${token}`);
    if (body) sent.set("content-type", "application/json");
    const answer = await fetch(url, { method, headers: sent, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: text ? JSON.parse(text) : undefined,
    };
}

/** What the browser told the page instead of an answer. */
export async function failure(url, options) {
    try {
        return { status: (await call(url, options)).status };
    } catch (error) {
        return { error: error.name };
    }
}

/** A form that any page may send without asking: no header of its own, and an answer that it cannot read. */
export async function blind(url, method, body) {
    const answer = await fetch(url, { method, mode: "no-cors", body, headers: { "content-type": "text/plain" } });
    return { type: answer.type, status: answer.status };
}

/**
 * Follows the operations of a certificate by Server-Sent Events, until one is of this kind. `EventSource` cannot send
 * `Authorization`, so a page reads the stream of `fetch`.
 */
export async function follow(url, token, kind, { lastEventId, then } = {}) {
    const headers = { authorization: `Bearer ${token}`, ...(lastEventId && { "last-event-id": lastEventId }) };
    const done = new AbortController();
    const answer = await fetch(url, { headers, signal: done.signal });
    const events = [];
    let text = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const whole = text.split("\n\n");
        text = whole.pop();
        for (const block of whole) {
            const event = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
            if (!event.event) continue;
            events.push({ ...event, data: JSON.parse(event.data) });
            // What is asked for once the stream is there.
            if (then && event.event === "bookmark") await call(...then.splice(0, 2));
        }
        if (events.some((event) => event.event === kind)) done.abort();
        if (done.signal.aborted) break;
    }
    return { status: answer.status, type: answer.headers.get("content-type"), events };
}
