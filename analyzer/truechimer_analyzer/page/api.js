// The analyzer's answers over HTTP; relative addresses, so that a proxy may serve the page under a path.

/** What the analyzer (or the network) said instead of an answer. */
export class ApiError extends Error {
  constructor(message, hint, document, status = null) {
    super(message);
    this.hint = hint;
    this.document = document;
    this.status = status;
  }
}

/** The address of an answer. */
export function address(command, options = {}) {
  const query = new URLSearchParams(
    Object.entries(options).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  return `api/v1/${command}?${query}`;
}

/** The answer of a command; ApiError when there is none. Leaves for the login page on 401. */
export async function ask(command, options = {}, signal = undefined) {
  let response;
  try {
    response = await fetch(address(command, options), { headers: { Accept: "application/json" }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the analyzer cannot be reached", "it may be restarting; the page keeps trying", null);
  }
  if (response.status === 401) {
    location.assign("login");
    throw new ApiError("not signed in", "", null);
  }
  let body;
  try {
    body = await response.json();
  } catch {
    throw new ApiError(`the analyzer answered ${response.status} without a document`, "its log says why", null);
  }
  if (response.ok && body !== null && typeof body === "object") return body;
  const message = typeof body?.error === "string" ? body.error : `the analyzer answered ${response.status}`;
  throw new ApiError(message, typeof body?.hint === "string" ? body.hint : "", body?.document ?? null, response.status);
}
