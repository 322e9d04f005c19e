// The body of a chat request, from the turns of a conversation and the settings.

/** Build the request for the last turn's answer. */
export function requestBody(turns, { model, system, detail, sampling }) {
  const messages = system.trim() ? [{ role: "system", content: system }] : [];
  const last = turns.at(-1);
  for (const turn of turns.filter((each) => each === last || isHistory(each))) {
    messages.push({ role: "user", content: content(turn.question, detail) });
    if (turn !== last) messages.push({ role: "assistant", content: turn.answer.text });
  }
  const streaming = { stream: true, stream_options: { include_usage: true } };
  return { model, messages, ...sampling, ...streaming };
}

/** Whether a turn is part of later requests: it needs an answer. */
export const isHistory = (turn) => turn.answer.text !== "";

function content({ text, pictures }, detail) {
  if (!pictures.length) return text;
  const images = pictures.map(({ url }) => {
    return { type: "image_url", image_url: detail ? { url, detail } : { url } };
  });
  return [...images, { type: "text", text }];
}
