// The calls of the HTTP API that this page needs. The browser sends the session's cookie.

const PAGE = 50; // lines of a collection in one request

/** The error of a failed request; its message says what to do. */
class ApiError extends Error {
  constructor(status, message, code, param = null) {
    super(message);
    this.status = status; // 0: no reply
    this.code = code;
    this.param = param; // the wrong field of the request; null: it is about none
  }
}

/** Return the error that a reply's body describes. */
export function errorOf(status, text) {
  try {
    const { message, code, param } = JSON.parse(text).error;
    return new ApiError(status, message, code, param);
  } catch {
    return new ApiError(status, `The server answered ${status}. Try again later.`, `http_${status}`);
  }
}

/** Return the error of a request without a reply. */
export function unreachable() {
  return new ApiError(0, "The server cannot be reached. Check the connection and try again.", "offline");
}

async function request(method, path, body, headers = {}) {
  const options = { method, headers: { ...headers } };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let reply;
  try {
    reply = await fetch(path, options);
  } catch {
    throw unreachable();
  }
  if (!reply.ok) {
    if (reply.status === 401 && path !== "/v1/session") {
      document.dispatchEvent(new CustomEvent("key-needed"));
    }
    throw errorOf(reply.status, await reply.text());
  }
  return reply.status === 204 ? null : reply.json();
}

/** Return an idempotency key: what is sent with it is accepted once, however often it is sent. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return whether a refusal is final, so that a new try needs a new key. Else it may be accepted. */
export function isRefusal({ status }) {
  return status >= 400 && status < 500 && ![401, 429].includes(status);
}

/** Return the path of a part of a job. */
export function jobPath(id, part = "") {
  return `/v1/jobs/${encodeURIComponent(id)}${part}`;
}

/** Return the path of a part of a collection. */
export function collectionPath(id, part = "") {
  return `/v1/collections/${encodeURIComponent(id)}${part}`;
}

/** Return the path of a job's transcript, as a file of one format. */
export function downloadPath(id, format) {
  return jobPath(id, `/transcript?format=${format}&download=true`);
}

export const api = {
  session: () => request("GET", "/v1/session"),
  logIn: (key) => request("POST", "/v1/session", { key }),
  logOut: () => request("DELETE", "/v1/session"),
  models: () => request("GET", "/v1/models"),
  vocabularies: () => request("GET", "/v1/vocabularies"),
  jobs: ({ limit, cursor, status }) => {
    const query = new URLSearchParams({ limit });
    if (cursor) query.set("cursor", cursor);
    if (status) query.set("status", status);
    return request("GET", `/v1/jobs?${query}`);
  },
  job: (id) => request("GET", jobPath(id)),
  cancel: (id) => request("POST", jobPath(id, "/cancel")),
  retry: (id) => request("POST", jobPath(id, "/retry")),
  remove: (id) => request("DELETE", jobPath(id)),
  collections: ({ limit }) => request("GET", `/v1/collections?limit=${limit}`),
  announceUpload: (name, size) => request("POST", "/v1/uploads", { name, size }),
  submitCollection: (body, key) => request("POST", "/v1/collections", body, { "Idempotency-Key": key }),
  collection: (id) => request("GET", collectionPath(id)),
  lines: async (id, statuses, most) => {
    const lines = [];
    const wanted = statuses.map((status) => `status=${status}`).join("&");
    let cursor = 0;
    while (lines.length < most && cursor !== null) {
      const query = `/lines?${wanted}&limit=${PAGE}&cursor=${cursor}`;
      const page = await request("GET", collectionPath(id, query));
      lines.push(...page.data);
      cursor = page.next_cursor;
    }
    return lines;
  },
  cancelCollection: (id) => request("POST", collectionPath(id, "/cancel")),
  retryCollection: (id) => request("POST", collectionPath(id, "/retry")),
  removeCollection: (id) => request("DELETE", collectionPath(id)),
  transcript: (id) => request("GET", jobPath(id, "/transcript?format=json&corrections=off")),
  corrections: (id) => request("GET", jobPath(id, "/corrections")),
  correct: (id, changes) => request("PUT", jobPath(id, "/corrections"), changes),
  speakers: (id) => request("GET", jobPath(id, "/speakers")),
  nameSpeakers: (id, names) => request("PUT", jobPath(id, "/speakers"), names),
};
