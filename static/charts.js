"use strict";
// A node's charts: its figures of the chosen span, drawn by uPlot, fetched again as new ones come.

(() => {
  const part = document.getElementById("charts");
  if (!part || !window.uPlot) return;
  const AGAIN = { hour: 15000, day: 300000, week: 1800000, month: 7200000 };
  const words = JSON.parse(part.dataset.words);
  const percent = (value) => (value == null ? "–" : words.percent.replace("#", Math.round(value)));
  const millis = (value) => (value == null ? "–" : words.millis.replace("#", Math.round(value)));
  let drawn = [];
  let timer = 0;

  // The colours are read as the browser computes them, so that light-dark() is what is in force.
  function colour(name) {
    const probe = document.createElement("span");
    probe.hidden = true;
    probe.className = `chart-${name}`;
    part.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  // uPlot's steps of an axis (seconds; the text; with the day where it changes), in the form that all can read.
  const DAY = "\n{YYYY}-{MM}-{DD}";
  const TIMES = [
    [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
    [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
  ];

  const COLOURS = ["first", "second", "third", "fourth"];

  // A missing step is a gap: the line does not go on as if somebody had looked.
  function withGaps(rows, step, columns) {
    const data = Array.from({ length: columns + 1 }, () => []);
    let last = null;
    for (const [at, ...figures] of rows) {
      if (last !== null && at - last > step * 2.5) {
        data[0].push(last + step);
        for (let index = 1; index <= columns; index += 1) data[index].push(null);
      }
      data[0].push(at);
      figures.forEach((value, index) => data[index + 1].push(value));
      last = at;
    }
    return data;
  }

  function draw(box, data, names, write, most, found) {
    const ink = colour("ink");
    const grid = { stroke: colour("lines"), width: 1 };
    const axis = { stroke: ink, grid, ticks: grid, font: "12px system-ui" };
    const figure = new window.uPlot({
      width: box.clientWidth,
      height: 180,
      cursor: { drag: { x: false, y: false } },
      legend: { live: true },
      scales: {
        x: { range: () => [found.since, found.until] },
        y: { range: (_plot, _low, high) => [0, most ?? Math.max(10, high * 1.1)] },
      },
      axes: [{ ...axis, values: TIMES }, { ...axis, size: 56, values: (_plot, ticks) => ticks.map(write) }],
      series: [
        { label: words.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
        ...names.map((label, index) => ({
          label,
          stroke: colour(COLOURS[index % COLOURS.length]),
          width: 2,
          points: { show: false },
          value: (_plot, value) => write(value),
        })),
      ],
    }, data, box);
    drawn.push({ figure, box });
  }

  function show(found) {
    for (const { figure } of drawn) figure.destroy();
    drawn = [];
    const share = (rows) => rows.map(([at, value]) => [at, value == null ? null : value * 100]);
    const at = (name) => part.querySelector(`[data-chart=${name}]`);
    part.classList.toggle("is-empty", found.node.length === 0);
    if (found.node.length === 0) return;
    draw(at("cpu"), withGaps(share(found.node.map((row) => [row[0], row[1]])), found.step, 1), [words.cpu], percent, 100, found);
    draw(at("memory"), withGaps(share(found.node.map((row) => [row[0], row[2]])), found.step, 1), [words.memory], percent, 100, found);
    draw(at("answer"), withGaps(found.node.map((row) => [row[0], row[3], row[4]]), found.step, 2), [words.ssh, words.libvirt], millis, null, found);
    const pools = Object.entries(found.pools);
    const times = [...new Set(pools.flatMap(([, rows]) => rows.map((row) => row[0])))].sort((a, b) => a - b);
    const used = pools.map(([, rows]) => new Map(rows));
    const table = times.map((time) => [time, ...used.map((rows) => (rows.has(time) ? rows.get(time) * 100 : null))]);
    draw(at("disk"), withGaps(table, found.step, pools.length), pools.map(([name]) => name), percent, 100, found);
    part.dataset.drawn = part.dataset.span;
  }

  async function load() {
    clearTimeout(timer);
    const span = part.dataset.span;
    try {
      const answer = await fetch(`${part.dataset.url}?span=${span}`, { headers: { Accept: "application/json" } });
      if (answer.ok && span === part.dataset.span) show(await answer.json());
    } catch {
      // Not reached just now: the figures that are drawn stay, and it is tried again.
    }
    timer = setTimeout(() => (document.hidden ? null : load()), AGAIN[span]);
  }

  part.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-span]");
    if (!link) return;
    event.preventDefault();
    for (const each of part.querySelectorAll("a[data-span]")) each.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    part.dataset.span = link.dataset.span;
    history.replaceState(null, "", link.href);
    load();
  });
  new ResizeObserver(() => {
    for (const { figure, box } of drawn) if (box.clientWidth) figure.setSize({ width: box.clientWidth, height: 180 });
  }).observe(part);
  new MutationObserver(load).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", load);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
  load();
})();
