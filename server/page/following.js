// Scrolls with the conversation while it grows, unless the user scrolls away.

const NEAR = 80;
const page = document.scrollingElement;
let following = true;

/** Scroll to the end and stay there. */
export function follow() {
  following = true;
  page.scrollTop = page.scrollHeight;
}

/** Follow the growth of these elements, also when images load late. */
export function followGrowthOf(...elements) {
  const observer = new ResizeObserver(() => following && follow());
  elements.forEach((each) => observer.observe(each));
  addEventListener("scroll", () => {
    following = page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
  }, { passive: true });
}
