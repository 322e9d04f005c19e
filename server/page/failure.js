// Errors of requests, from the server or the browser.

/** An error with the API's details; without a response it has no `status`. */
export class Failure extends Error {
  constructor(message, details = {}) {
    super(message);
    this.name = "Failure";
    this.details = details;
  }
}

/** Build the failure of a response with an error status. */
export async function failureOf(response) {
  const text = await response.text().catch(() => "");
  const details = {
    status: response.status,
    retryAfter: response.headers.get("retry-after"),
    requestId: response.headers.get("x-request-id"),
  };
  const error = errorIn(text);
  if (error) return fromError(error, details);
  const said = text.slice(0, 300) || response.statusText || "no message";
  return new Failure(`The server answered with status ${response.status}: ${said}`, details);
}

/** Build the failure of an OpenAI `error` object. */
export function fromError({ message, type, param, code }, details = {}) {
  return new Failure(String(message), { ...details, type, param, code });
}

/** Build the failure of a request without a response. */
export function unreachable(error) {
  return new Failure(`The server could not be reached (${error.message}).`, { type: "network" });
}

function errorIn(text) {
  try {
    const { error } = JSON.parse(text);
    return error && typeof error === "object" ? error : null;
  } catch {
    return null;
  }
}
