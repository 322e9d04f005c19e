// Keeps the end of the conversation in view while it grows, unless the reader scrolls away.

const NEAR = 80;
const page = document.scrollingElement;
let following = true;

/** Go to the end and stay there. */
export function follow() {
  following = true;
  page.scrollTop = page.scrollHeight;
}

/** Follow the growth of these elements, pictures that load late included. */
export function followGrowthOf(...elements) {
  const observer = new ResizeObserver(() => following && follow());
  elements.forEach((each) => observer.observe(each));
  addEventListener("scroll", () => {
    following = page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
  }, { passive: true });
}
