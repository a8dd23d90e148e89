"use strict";
(() => {
  const POLL_MS = 2000;
  const PAGE = 50;
  const look = JSON.parse(document.getElementById("look").textContent);
  const FIGURES = { latency_us: ["Latency", "ms", 1e-3], sram_bytes: ["SRAM", "KB", 1 / 1024], flash_bytes: ["Flash", "KB", 1 / 1024], energy_uj: ["Energy", "µJ", 1] };
  const NAMES = Object.keys(FIGURES);
  const byId = (id) => document.getElementById(id);

  // What is known: the last answer, and all trials by number.
  let known = { version: "" };
  const trials = new Map();
  const chosen = new Set();
  let reachable = true;
  // Whether there is more than is shown, and from when on it may be shown.
  let outdated = false;
  let rested = 0;
  // In which of the groups of figures: 0 the worst over the boards, then each board's.
  let group = 0;
  let sorted = { column: "trial", down: true };
  let limit = PAGE;

  // Text is always set as text, so that nothing from a study becomes markup.
  const make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name === "class") element.className = value;
      else if (name in element && name !== "title") element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== ""));
    return element;
  };
  const fill = (id, ...children) => byId(id).replaceChildren(...children);

  const number = (value, digits = 0) => value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const percent = (fraction) => (fraction === null || fraction === undefined ? "–" : number(100 * fraction, 1) + " %");
  const written = (figure, value) => {
    if (value === null || value === undefined) return "–";
    if (figure === "latency_us") return value >= 1e6 ? number(value / 1e6, 2) + " s" : value >= 1e3 ? number(value / 1e3, 2) + " ms" : number(value, 1) + " µs";
    if (figure === "energy_uj") return value >= 1e3 ? number(value / 1e3, 2) + " mJ" : number(value, 1) + " µJ";
    return number(value) + " B";
  };
  const duration = (seconds) => {
    if (seconds < 60) return number(seconds, seconds < 10 ? 1 : 0) + " s";
    const minutes = Math.round(seconds / 60);
    return minutes < 60 ? minutes + " min" : Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
  };
  const cost = (costs, index) => (costs ? costs[NAMES.length * group + index] : null);
  const boardOf = () => (known.figures[NAMES.length * group] || "").split("@")[1];
  const link = (trial) => make("a", { href: "#trial-" + trial }, String(trial));

  // The head of the page: what state the study is in.
  const situation = () => {
    if (!reachable) return ["silent", "out of reach"];
    if (!known.version) return ["stopped", known.now && !known.now.silent ? "opening" : "not there yet"];
    if (!known.there) return ["silent", "gone"];
    if (known.now && !known.now.silent) return ["running", "running"];
    if (known.finished) return ["finished", "finished"];
    return known.now ? ["silent", "silent"] : ["stopped", "not running"];
  };

  const showHead = () => {
    const [kind, text] = situation();
    byId("badge").className = "state " + kind;
    byId("badge").textContent = text;
    const now = known.now;
    let problem = known.problem;
    if (!reachable) problem = "The process that serves this page has ended. What stands here is the last that it said.";
    else if (now && now.silent) problem = `No word from the search for ${duration(now.age_s)}: process ${now.pid} on ${now.host} was killed or stopped. tinynas resume continues it.`;
    else if (known.version && !known.there) problem = "The study's file is gone. What stands here is the last that was read of it.";
    byId("problem").hidden = !problem;
    byId("problem").textContent = problem || "";
    document.body.classList.toggle("waiting", !known.version);
    if (!known.version) {
      byId("lead").textContent = known.there ? "" : "The study is not there yet. This page looks for it.";
      return;
    }
    document.title = `${known.task} on ${known.boards.join(" and ")}: ${text}`;
    fill("title", known.task, " ", make("span", {}, "on"), " ", known.boards.join(" and "));
    const counts = known.counts;
    const judged = known.numbers.length;
    const parts = [`${number(judged)} of ${number(Math.max(known.budget, judged))} candidates judged`, `${counts.complete || 0} trained`, `${counts.infeasible || 0} over a limit`, `${counts.failed || 0} failed`];
    byId("lead").textContent = parts.join(", ") + (known.elapsed_s ? `, in ${duration(known.elapsed_s)}` : "") + (known.finished ? ". The search is finished." : ".");
    const running = kind === "running" && now.budget > 0;
    byId("progress").hidden = !running;
    if (running) byId("progress").firstElementChild.style.width = Math.min(100, (100 * now.judged) / now.budget) + "%";
  };

  const showNow = () => {
    const now = known.now;
    byId("now").hidden = !now;
    if (!now) return;
    byId("now").className = "pair" + (now.silent ? " old" : "");
    byId("phase").textContent = (now.silent ? "When it was last heard of: " : "") + `${now.phase}, ${now.judged} of ${now.budget} done` + (now.left_s === null ? "" : `, at most ${duration(now.left_s)} left`);
    const stages = [...new Set([...look.stages, ...now.under_way.map((each) => each.stage)])];
    const lines = stages.map((stage) => [stage, now.under_way.filter((each) => each.stage === stage)]).filter(([, members]) => members.length);
    const list = make("dl");
    for (const [stage, members] of lines) {
      list.append(make("dt", {}, stage), make("dd", {}, ...members.map((each) => make("span", { class: "chip", title: each.genome }, `${each.number} · ${duration(each.seconds)}`))));
    }
    fill("queue", lines.length ? list : make("p", { class: "empty" }, "No candidate is under way."));
    const numbers = new Map(now.under_way.map((each) => [each.genome, each.number]));
    const rows = now.boards.map((board) => {
      const state = board.held !== null ? "held" : board.work !== null ? "busy" : "free";
      const work = numbers.has(board.work) ? `candidate ${numbers.get(board.work)}` : board.work;
      const doing = state === "held" ? board.held : state === "busy" ? `measures ${work || "a network"}` + (board.seconds ? `, ${duration(board.seconds)}` : "") : "free";
      return make("li", {}, make("span", { class: "dot " + state }), make("b", {}, board.name), " ", make("small", {}, board.kind === board.name ? "" : board.kind), " ", doing);
    });
    fill("boards", rows.length ? make("ul", { class: "plain" }, ...rows) : make("p", { class: "empty" }, "The search has no board of its own."));
  };

  const showCards = () => {
    const best = known.front[0];
    const card = (title, big, ...small) => make("div", { class: "card" }, make("h3", {}, title), make("p", { class: "big" }, big), make("p", {}, ...small));
    if (!best) {
      const text = known.numbers.length ? "No candidate met the limits and was trained. Below it says why each was refused." : "Once the search has judged its first candidate, it appears here.";
      fill("cards", card("No network yet", "–", text));
      return;
    }
    const cards = [card("Most accurate", percent(best.test ?? best.accuracy), `int8, ${best.test === null ? "validation" : "test"} split, `, make("a", { href: "#trial-" + best.number }, `trial ${best.number}`))];
    cards[0].classList.add("strong");
    NAMES.forEach((name, index) => {
      if (cost(best.costs, index) === null) return;
      const bound = boundOf(name);
      cards.push(card("its " + (name === "sram_bytes" ? "SRAM" : FIGURES[name][0].toLowerCase()), written(name, cost(best.costs, index)), bound === undefined ? "" : "of at most " + written(name, bound)));
    });
    const volume = known.hypervolume.at(-1)[1];
    cards.push(card("Hypervolume", number(100 * volume, 1) + " %", `${known.front.length} on the front`));
    fill("cards", ...cards);
  };

  const boundOf = (name) => {
    const board = boardOf() || (known.boards.length === 1 ? "" : null);
    return board === null ? undefined : known.bounds[board ? `${name}@${board}` : name];
  };

  // Plotly reads some HTML in texts.
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const hover = (row) => {
    const lines = [`<b>trial ${row.number}</b>, ${row.state}`, ...(row.genome.slice(0, 300).match(/.{1,60}/g) || []).map(escaped)];
    if (row.accuracy !== null) lines.push(`accuracy ${percent(row.accuracy)} (int8, validation)`);
    if (row.final) lines.push(`finished: ${percent(row.final[0])} (validation), ${percent(row.final[1])} (test)`);
    NAMES.forEach((name, index) => {
      if (cost(row.costs, index) !== null) lines.push(`${FIGURES[name][0]} ${written(name, cost(row.costs, index))} (${row.sources[index]})`);
    });
    if (row.reason) lines.push(...(row.reason.slice(0, 300).match(/.{1,60}/g) || []).map(escaped));
    return lines.join("<br>");
  };

  const copy = (value) => JSON.parse(JSON.stringify(value));
  const config = { displaylogo: false, displayModeBar: false };

  const ticks = (least, most) => {
    const decades = [];
    for (let decade = Math.floor(Math.log10(least)); decade <= Math.ceil(Math.log10(most)); decade++) decades.push(decade);
    const tickvals = decades.flatMap((decade) => (decades.length <= 4 ? [1, 2, 5] : [1]).map((step) => step * 10 ** decade));
    return { tickmode: "array", tickvals, ticktext: tickvals.map((value) => String(Number(value.toPrecision(3)))) };
  };

  const frontFigure = (name, index) => {
    const scale = FIGURES[name][2];
    const rows = [...trials.values()];
    const front = new Set(known.front.map((point) => point.number));
    const points = (title, members, x, y, marker, more = {}) => ({ type: "scatter", mode: "markers", name: title, x: members.map(x), y: members.map(y), customdata: members.map((each) => each.number), text: members.map((each) => hover(trials.get(each.number))), hovertemplate: "%{text}<extra></extra>", marker, ...more });
    const x = (each) => scale * cost(each.costs, index);
    const y = (each) => 100 * each.accuracy;
    const placed = rows.filter((row) => cost(row.costs, index) !== null);
    const ordered = known.front.filter((point) => cost(point.costs, index) !== null).sort((a, b) => cost(a.costs, index) - cost(b.costs, index));
    const full = boardOf() ? `${name}@${boardOf()}` : name;
    const stairs = known.objectives.length === 2 && known.objectives.includes("error") && known.objectives.includes(full);
    const traces = [
      points("trained", placed.filter((row) => row.state === "complete" && !front.has(row.number)), x, y, { color: look.trained, size: 8, line: { color: "white", width: 1 } }),
      points("front", ordered, x, y, { color: look.front, size: 11, line: { color: "white", width: 1.5 } }, stairs ? { mode: "lines+markers", line: { shape: "hv", color: look.front, width: 1.5 } } : {}),
      points("front, test split", ordered.filter((point) => point.test !== null), x, (each) => 100 * each.test, { color: look.final, size: 9, symbol: "diamond", line: { color: "white", width: 1 } }),
      points("refused or failed", placed.filter((row) => row.state !== "complete"), x, () => 0, { color: look.refused, size: 8, symbol: "line-ns-open", line: { color: look.refused, width: 1.5 } }, { yaxis: "y2" }),
    ].filter((trace) => trace.x.length);
    const layout = copy(look.layout);
    const values = traces.flatMap((trace) => trace.x).filter((value) => value > 0);
    const wide = values.length && Math.max(...values) > 30 * Math.min(...values);
    Object.assign(layout.xaxis, { title: { text: `${FIGURES[name][0]} [${FIGURES[name][1]}]` }, anchor: "y2" }, wide ? { type: "log", ...ticks(Math.min(...values), Math.max(...values)) } : { rangemode: "tozero" });
    Object.assign(layout.yaxis, { title: { text: "int8 accuracy [%]" }, domain: [0.2, 1] });
    layout.yaxis2 = { ...copy(look.layout.yaxis), domain: [0, 0.12], range: [-1, 1], showticklabels: false, showgrid: false, ticks: "", fixedrange: true };
    layout.showlegend = false;
    const bound = boundOf(name);
    // A limit far outside would press all points together.
    if (bound !== undefined && values.length && scale * bound < 3 * Math.max(...values)) {
      const at = scale * bound;
      layout.shapes = [{ type: "line", x0: at, x1: at, yref: "paper", y0: 0, y1: 1, line: { color: look.limit, width: 1.5, dash: "dash" } }];
    }
    return [traces, layout];
  };

  const opens = (place) => place.on("plotly_click", (event) => {
    const trial = event.points[0].customdata;
    if (trial !== undefined) location.hash = "trial-" + trial;
  });

  // A place narrows without a change of the window, too: when a scroll bar appears, or once it is no longer hidden.
  const widths = new ResizeObserver((entries) => entries.forEach(({ target }) => target.offsetWidth && Plotly.Plots.resize(target)));

  const draw = (place, traces, layout) => {
    const fresh = !place.dataset.drawn;
    place.dataset.drawn = "yes";
    Plotly.react(place, traces, layout, config);
    if (!fresh) return;
    opens(place);
    widths.observe(place);
  };

  const showFronts = () => {
    const there = NAMES.filter((_, index) => [...trials.values()].some((row) => cost(row.costs, index) !== null));
    if ([...byId("fronts").children].map((each) => each.dataset.name).join() !== there.join()) {
      fill("fronts", ...there.map((name) => {
        const figure = make("figure", {}, make("figcaption", {}, FIGURES[name][0]), make("div", { class: "chart" }));
        figure.dataset.name = name;
        return figure;
      }));
    }
    // All places are there before the first is drawn: a chart is as wide as its place is then.
    byId("fronts").hidden = byId("legend").hidden = !there.length;
    byId("figureless").hidden = there.length > 0;
    for (const figure of byId("fronts").children) draw(figure.lastElementChild, ...frontFigure(figure.dataset.name, NAMES.indexOf(figure.dataset.name)));
    byId("limits").textContent = Object.keys(known.bounds).length ? "Limits: " + Object.entries(known.bounds).map(([name, bound]) => { const [figure, board] = name.split("@"); return `${FIGURES[figure] ? FIGURES[figure][0] : figure}${board ? " on " + board : ""} ${written(figure, bound)}`; }).join(", ") + "." : "";
    const table = byId("front");
    table.hidden = !known.front.length;
    const titles = ["trial", "accuracy, test", "accuracy, validation", ...NAMES.map((name) => FIGURES[name][0]), "quantized"];
    table.replaceChildren(
      make("caption", {}, known.finished ? "The front: finalists, trained longer and measured again" : "The front so far"),
      make("thead", {}, make("tr", {}, ...titles.map((title, at) => make("th", { class: at && at < titles.length - 1 ? "number" : "" }, title)))),
      make("tbody", {}, ...known.front.map((point) => make("tr", {}, make("td", {}, link(point.number)), make("td", { class: "number" }, make("b", {}, percent(point.test))), make("td", { class: "number" }, percent(point.accuracy)), ...NAMES.map((name, index) => make("td", { class: "number" }, written(name, cost(point.costs, index)))), make("td", {}, point.method.toUpperCase())))),
    );
  };

  const showVolume = () => {
    const layout = copy(look.layout);
    Object.assign(layout.xaxis, { title: { text: "evaluations" }, rangemode: "tozero" });
    Object.assign(layout.yaxis, { title: { text: "hypervolume [%]" }, rangemode: "tozero" });
    layout.showlegend = false;
    const steps = known.hypervolume;
    byId("hypervolume").hidden = steps.length < 2;
    for (const empty of document.querySelectorAll(".nothing")) empty.hidden = steps.length > 1;
    if (steps.length < 2) return;
    draw(byId("hypervolume"), [{ type: "scatter", mode: "lines", x: steps.map((step) => step[0]), y: steps.map((step) => 100 * step[1]), line: { shape: "hv", color: look.front, width: 2 }, fill: "tozeroy", fillcolor: "rgba(31,111,178,0.10)", hovertemplate: "after %{x}: %{y:.2f} %<extra></extra>" }], layout);
  };

  const showTimes = () => {
    const bar = (stage) => { const part = make("i"); part.style.background = stage.color; return part; };
    byId("shares").hidden = !known.stages.length;
    fill("shares", ...known.stages.map((stage) => { const part = bar(stage); part.style.width = 100 * stage.share + "%"; return part; }));
    fill("stages", ...known.stages.map((stage) => make("li", {}, bar(stage), stage.name + " ", make("b", {}, duration(stage.seconds)), " " + percent(stage.share))));
  };

  const showReasons = () => {
    const open = new Set([...document.querySelectorAll("#reasons details[open]")].map((each) => each.dataset.key));
    const groups = known.reasons.map((reason) => {
      const key = [reason.state, reason.stage, reason.text].join();
      const more = reason.count > reason.trials.length ? ` and ${reason.count - reason.trials.length} more` : "";
      const details = make("details", { open: open.has(key) }, make("summary", {}, make("span", { class: "count" }, `${number(reason.count)} ×`), make("span", { class: "state " + reason.state }, reason.state), make("span", {}, make("b", {}, reason.stage ? reason.stage + " " : ""), reason.text || "no reason was recorded")), make("p", {}, ...reason.trials.map(link), more));
      details.dataset.key = key;
      return details;
    });
    const finalists = Object.entries(known.finalist_failures).map(([trial, reason]) => make("p", { class: "note bad" }, `Finalist ${trial} could not be finished: ${reason}`));
    byId("reasons").className = "reasons";
    fill("reasons", ...groups, ...finalists, ...(groups.length + finalists.length ? [] : [make("p", { class: "empty" }, "No candidate was refused or failed.")]));
  };

  // The table of candidates: what a column sorts by, and what it shows.
  const COLUMNS = {
    trial: [(row) => row.number, (row) => link(row.number), "number"],
    state: [(row) => row.state, (row) => make("span", {}, make("span", { class: "state " + row.state }, row.state), ...(fronts.has(row.number) ? [" ", make("span", { class: "state front" }, "front")] : []))],
    accuracy: [(row) => (row.final ? row.final[0] : row.accuracy), (row) => percent(row.final ? row.final[0] : row.accuracy), "number"],
    ...Object.fromEntries(NAMES.map((name, index) => [FIGURES[name][0], [(row) => cost(row.costs, index), (row) => written(name, cost(row.costs, index)), "number"]])),
    time: [(row) => row.seconds, (row) => duration(row.seconds), "number"],
    genome: [(row) => row.genome, (row) => row.genome, "genome"],
    reason: [(row) => row.reason || null, (row) => make("span", {}, make("b", {}, row.stage ? row.stage + " " : ""), row.reason || ""), "reason"],
  };
  let fronts = new Set();

  const showTable = () => {
    fronts = new Set((known.front || []).map((point) => point.number));
    const wanted = byId("filter").value.trim().toLowerCase();
    const key = COLUMNS[sorted.column][0];
    const rows = [...trials.values()].filter((row) => !wanted || `${row.number} ${row.state} ${fronts.has(row.number) ? "front" : ""} ${row.genome} ${row.stage || ""} ${row.reason || ""}`.toLowerCase().includes(wanted));
    // What is not known comes last in either direction.
    rows.sort((first, second) => {
      const [a, b] = [key(first), key(second)];
      if (a === null || b === null) return (a === null) - (b === null);
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return sorted.down ? -order : order;
    });
    const line = (row) => {
      const tick = make("input", { type: "checkbox", checked: chosen.has(row.number), "aria-label": `compare trial ${row.number}` });
      tick.addEventListener("change", () => { tick.checked ? chosen.add(row.number) : chosen.delete(row.number); showTray(); });
      return make("tr", { class: fronts.has(row.number) ? "on-front" : "" }, make("td", {}, tick), ...Object.entries(COLUMNS).map(([title, [, show, kind]]) => make("td", { class: `${kind || ""}${kind === "number" && !row.built && title in SHOWN ? " estimated" : ""}` }, show(row))));
    };
    byId("candidates").tBodies[0].replaceChildren(...rows.slice(0, limit).map(line));
    byId("shown").textContent = rows.length ? `${number(Math.min(limit, rows.length))} of ${number(rows.length)} shown` : known.numbers && known.numbers.length ? "None matches." : "No candidate has been judged yet.";
    byId("more").hidden = rows.length <= limit;
    document.querySelectorAll("#candidates th").forEach((heading) => {
      const is = heading.dataset.column === sorted.column;
      is ? heading.setAttribute("aria-sort", sorted.down ? "descending" : "ascending") : heading.removeAttribute("aria-sort");
    });
  };
  const SHOWN = Object.fromEntries(NAMES.map((name) => [FIGURES[name][0], true]));

  const showTray = () => {
    byId("tray").hidden = !chosen.size;
    byId("tray").firstElementChild.textContent = chosen.size === 1 ? "Tick another candidate to compare" : `${chosen.size} candidates ticked` + (chosen.size > 8 ? ", at most 8 can be compared" : "");
    byId("compare").href = "#compare-" + [...chosen].join("-");
    byId("compare").classList.toggle("off", chosen.size < 2 || chosen.size > 8);
  };

  const showBoards = () => {
    const select = byId("which").querySelector("select");
    byId("which").hidden = known.boards.length < 2;
    if (known.boards.length < 2 || select.options.length === known.boards.length + 1) return;
    select.replaceChildren(make("option", { value: "0" }, "the worst over the boards"), ...known.boards.map((board, at) => make("option", { value: String(at + 1) }, board)));
  };

  const showAll = () => {
    const begun = performance.now();
    showBoards();
    showCards();
    showFronts();
    showVolume();
    showTimes();
    showReasons();
    showTable();
    outdated = false;
    // Drawing thousands of points takes its time: at most a tenth of this page's.
    rested = performance.now() + 9 * (performance.now() - begun);
  };

  const take = (answer) => {
    const news = answer.version !== known.version;
    if (answer.whole && news) trials.clear();
    for (const row of answer.trials || []) trials.set(row.number, row);
    const { trials: _, ...rest } = answer;
    known = { ...known, ...rest };
    if (known.numbers && trials.size > known.numbers.length) {
      const there = new Set(known.numbers);
      for (const each of trials.keys()) if (!there.has(each)) trials.delete(each);
    }
    showHead();
    showNow();
    outdated = outdated || (news && known.version !== "");
    if (outdated && performance.now() > rested) showAll();
  };

  const poll = async () => {
    if (!document.hidden) {
      try {
        const response = await fetch("state?known=" + encodeURIComponent(known.version));
        if (!response.ok) throw new Error(response.statusText);
        reachable = true;
        take(await response.json());
      } catch (error) {
        if (!(error instanceof TypeError) && reachable) console.error(error);
        reachable = false;
        showHead();
      }
    }
    setTimeout(poll, POLL_MS);
  };

  // What the address names: one candidate, several, or all.
  const route = async () => {
    const [, kind, rest] = /^#(trial|compare)-([\d-]+)$/.exec(location.hash) || [];
    byId("overview").hidden = Boolean(kind);
    byId("detail").hidden = !kind;
    if (!kind) return;
    const place = byId("detail").lastElementChild;
    const asked = location.hash;
    const response = await fetch(kind === "trial" ? "trials/" + rest : "compare?trials=" + rest.split("-").join(","));
    const part = new DOMParser().parseFromString(await response.text(), "text/html");
    if (location.hash !== asked) return;
    place.replaceChildren(...part.body.childNodes);
    scrollTo(0, 0);
    for (const each of place.querySelectorAll("[data-arena]")) showArena(each);
  };

  const showArena = async (place) => {
    place.replaceChildren(make("p", { class: "note" }, "The network is compiled to draw this…"));
    const response = await fetch(place.dataset.arena);
    if (response.ok) place.replaceChildren(make("object", { type: "image/svg+xml", data: place.dataset.arena, "aria-label": "arena over time" }));
    else place.replaceChildren(...new DOMParser().parseFromString(await response.text(), "text/html").body.childNodes);
  };

  const headings = byId("candidates").tHead.rows[0];
  headings.append(make("th"));
  for (const [title, [, , kind]] of Object.entries(COLUMNS)) {
    const button = make("button", { type: "button" }, title);
    button.addEventListener("click", () => { sorted = { column: title, down: sorted.column === title ? !sorted.down : false }; showTable(); });
    const heading = make("th", { class: kind === "number" ? "number" : "" }, button);
    heading.dataset.column = title;
    headings.append(heading);
  }
  for (const [title, color] of [["trained", look.trained], ["front", look.front], ["front on the test split", look.final], ["refused or failed", look.refused]]) {
    const dot = make("i");
    dot.style.background = color;
    byId("legend").append(make("li", {}, dot, title));
  }
  byId("filter").addEventListener("input", () => { limit = PAGE; showTable(); });
  byId("more").addEventListener("click", () => { limit += 4 * PAGE; showTable(); });
  byId("clear").addEventListener("click", () => { chosen.clear(); showTray(); showTable(); });
  byId("which").querySelector("select").addEventListener("change", (event) => { group = Number(event.target.value); showAll(); });
  addEventListener("hashchange", route);
  route();
  poll();
})();
