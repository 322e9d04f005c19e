// Which of several replicas answers: requests with the same value go to the same one.

export const AFFINITY_HEADER = "x-llava-affinity";
const WELL_FORMED = /^[A-Za-z0-9._~:-]{1,64}$/;

/**
 * Return the value of a new conversation. The server would name one, too, but only with the first
 * answer: a value of its own leads the second question to the replica that answered the first.
 */
export function newAffinity() {
  // randomUUID exists only on pages from this machine or with TLS.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Return the value of the next request: what the answer names, else the last request's. */
export function nextAffinity(response, affinity) {
  const named = response.headers.get(AFFINITY_HEADER) ?? "";
  return WELL_FORMED.test(named) ? named : affinity;
}
