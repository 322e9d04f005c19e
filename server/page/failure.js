// What went wrong with a request, as the server or the browser said it.

/** An error with what the API tells of it; `status` is missing where no response came. */
export class Failure extends Error {
  constructor(message, details = {}) {
    super(message);
    this.name = "Failure";
    this.details = details;
  }
}

/** Return the failure that a response with an error status tells. */
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

/** Return the failure of an OpenAI-shaped `error` object. */
export function fromError({ message, type, param, code }, details = {}) {
  return new Failure(String(message), { ...details, type, param, code });
}

/** Return the failure of a request that got no response. */
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
