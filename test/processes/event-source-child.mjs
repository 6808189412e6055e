/** Folds a watch's snapshot and changes by an EventSource, as a page in a browser would; tells its state at each event. */
const [url] = process.argv.slice(2);
const records = new Map();
let stage = "";
const source = new EventSource(url);
let id = "";
const tell = (event) => {
  if (event !== null) {
    stage = event.type === "end" ? JSON.parse(event.data).code : event.type;
    id = event.lastEventId;
  }
  console.log(JSON.stringify({ stage, id, readyState: source.readyState, records: [...records] }));
};
const on = (kinds, act) => {
  for (const kind of kinds) {
    source.addEventListener(kind, (event) => {
      act(JSON.parse(event.data));
      tell(event);
    });
  }
};
on(["snapshot-begin"], () => records.clear());
on(["record", "put"], ({ key, value }) => records.set(key, value));
on(["delete", "expire"], ({ key }) => records.delete(key));
on(["begin", "snapshot-end", "progress", "end"], () => {});
source.addEventListener("error", () => tell(null));
// Also when it is closed: its parent ends it.
setInterval(() => {}, 60_000);
