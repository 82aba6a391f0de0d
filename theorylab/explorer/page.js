"use strict";
// What joins the laws and the simulation: controls, the address, maps, numbers and the chart.
const explorer = (() => {
  const SLICE = 12; // milliseconds of work before the page may draw and listen
  const NOISE_SEED = 1, MOST_PIXELS = 100e6;
  const MANY = 2 ** 40; // filters: the limit of the law
  const NAMES = { guided: "guided backpropagation", deconvnet: "DeconvNet", saliency: "saliency" };
  const element = id => document.getElementById(id);
  const form = element("controls"), own = "your photograph", pictures = new Map();
  let seed = 0; // of the network
  let scene = null; // what belongs to the picture, the patches and the biases: changes of N and rule leave it
  let net = null, trail = [], work = null, frame = 0;

  // The address. A control takes what it is given to its own range, so nothing else checks a link.
  const controls = ["filters", "kernel", "stride", "bias", "noise", "picture"];

  function state() {
    const found = Object.fromEntries(controls.map(name => [name, form.elements[name].value]));
    for (const name of controls.slice(0, 5)) found[name] = Number(found[name]);
    return { ...found, filters: 2 ** found.filters, rule: form.elements.rule.value, seed };
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of controls) {
      const control = form.elements[name], value = given.get(name);
      if (name !== "picture") control.value = value === null || !Number.isFinite(Number(value)) || value === "" ? control.defaultValue
        : name === "filters" ? Math.log2(Math.max(1, Number(value))) : value;
      else if (value === null) control.selectedIndex = 0;
      else if (pictures.has(value)) control.value = value;
      else say(value === own ? "The link was made with a photograph, which stayed where it was: here is another picture."
        : "The link names a picture that this page does not hold: here is another one.");
    }
    const rule = Object.hasOwn(NAMES, given.get("rule")) ? given.get("rule") : "guided";
    for (const one of form.elements.rule) one.checked = one.value === rule;
    const number = Number(given.get("seed"));
    seed = Number.isInteger(number) && number >= 0 && number < 2 ** 31 ? number : 0;
  }

  function writeAddress() {
    try {
      history.replaceState(null, "", `#${new URLSearchParams(state())}`);
    } catch {
      // A page within another one may have no address of its own.
    }
  }

  const say = words => { element("trouble").textContent = words; };

  // Pictures.

  /** The square in the middle of a picture as numbers of 0–255, side × side × 3. */
  function values(image, width, height) {
    const canvas = document.createElement("canvas"), side = Math.min(width, height);
    canvas.width = canvas.height = DATA.side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff"; // under transparent parts
    context.fillRect(0, 0, DATA.side, DATA.side);
    context.drawImage(image, (width - side) / 2, (height - side) / 2, side, side, 0, 0, DATA.side, DATA.side);
    return Float64Array.from(context.getImageData(0, 0, DATA.side, DATA.side).data.filter((_, i) => i % 4 < 3));
  }

  /** Read a picture by its address, which is never one of a network, and keep it under a name. */
  async function keep(name, source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!(width && height) || width * height > MOST_PIXELS) throw new RangeError("its size");
    const found = values(image, width, height).map((value, i) => value - DATA.meanColour[i % 3]);
    if (!found.some(value => Math.abs(value) > 1)) throw new RangeError("it has the mean colour everywhere, so nothing is left of it");
    if (!pictures.has(name)) form.elements.picture.add(new Option(name, name));
    pictures.set(name, found);
  }

  async function useOwn(file) {
    if (!file) return;
    const source = URL.createObjectURL(file);
    try {
      await keep(own, source);
      say("");
      form.elements.picture.value = own;
      scene = null;
      update();
    } catch (error) {
      say(`${file.name} cannot be used: ${error instanceof RangeError ? error.message : "it is not a picture that this browser reads"}.`);
    } finally {
      URL.revokeObjectURL(source);
    }
  }

  // Maps.

  const unit = map => {
    const norm = Math.sqrt(laws.dot(map, map));
    return norm ? map.map(value => value / norm) : map;
  };

  const cosine = (a, b) => laws.dot(a, b) / Math.sqrt(laws.dot(a, a) * laws.dot(b, b) || 1);

  /** The size that 99 % of entries stay below; 1 for a map of zeros. */
  const reach = map => map.map(Math.abs).sort()[Math.floor(0.99 * map.length)] || 1;

  function paint(id, map, shade) {
    const canvas = element(id), context = canvas.getContext("2d");
    if (canvas.width !== DATA.side) canvas.width = canvas.height = DATA.side;
    const image = context.createImageData(DATA.side, DATA.side);
    for (let i = 0, at = 0; i < map.length; i++) {
      image.data[at++] = shade(map[i], i % 3);
      if (i % 3 === 2) image.data[at++] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  const paintMap = (id, map, scale) => paint(id, map, value => 127.5 * (1 + value / scale));

  // The work: a generator that rests often, so that it can be stopped, and run between two frames.

  function prepared(now) {
    const raw = pictures.get(now.picture), size = Math.sqrt(laws.dot(raw, raw)), normal = simulation.normals(NOISE_SEED);
    const noisy = raw.map(value => value + (now.noise && (now.noise * size * normal()) / Math.sqrt(raw.length)));
    const x = unit(noisy), g = laws.grid(DATA.side, DATA.side, 3, now.kernel, now.stride), lengths = laws.norms(x, g);
    const tau = now.bias * Float64Array.from(lengths).sort()[lengths.length >> 1];
    const target = laws.corrected(x, laws.contrast(lengths, g, tau));
    paint("picture-map", noisy, (value, channel) => value + DATA.meanColour[channel]);
    return { key: keyOf(now), x, g, lengths, tau, target, reach: reach(unit(target)), summary: null };
  }

  const keyOf = now => JSON.stringify([now.picture, now.noise, now.kernel, now.stride, now.bias]);

  function* steps(now) {
    if (!scene.summary) {
      const pairs = yield* laws.pairSteps(scene.x, scene.g, scene.lengths, scene.tau);
      scene.summary = laws.summary(scene.x, scene.g, scene.lengths, scene.tau, pairs);
    }
    drawCurve(now.rule);
    while (net.filters < now.filters) {
      net.add();
      if (Number.isInteger(Math.log2(net.filters))) trail.push([net.filters, cosine(net.maps[0], scene.x)]);
      yield;
    }
  }

  function update() {
    const now = state();
    label(now);
    writeAddress();
    if (scene?.key !== keyOf(now)) scene = prepared(now);
    const name = JSON.stringify([scene.key, now.rule, now.seed]);
    // More filters go on from those that are there.
    if (net?.name !== name || net.scene !== scene || net.filters > now.filters) {
      net = simulation.network(scene.x, scene.g, laws.RULES[now.rule], scene.tau, now.seed);
      Object.assign(net, { name, scene });
      trail = [];
    }
    const mean = laws.meanMap(scene.target, now.rule, 1), some = mean.some(Boolean);
    paintMap("predicted-map", unit(mean), scene.reach);
    write("predicted-words", some ? "mean of all such networks" : "the mean of all such networks is 0");
    work = steps(now);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => tick(now, some ? mean : null));
  }

  function tick(now, mean) {
    const end = performance.now() + SLICE;
    let done;
    do done = work.next().done;
    while (!done && performance.now() < end);
    show(now, mean, done);
    if (!done) frame = requestAnimationFrame(() => tick(now, mean));
    document.body.dataset.state = done ? "done" : "working";
  }

  // What is seen.

  const digits = (value, places = 3) =>
    value === null || !Number.isFinite(value) ? "–" : value.toFixed(places).replace("-", "−");
  const write = (id, words) => { if (element(id).textContent !== words) element(id).textContent = words; };

  function label(now) {
    const of = {
      filters: `${now.filters}`,
      kernel: `${now.kernel}×${now.kernel} pixels`,
      stride: now.stride === 1 ? "1 pixel" : `${now.stride} pixels`,
      bias: now.bias ? `${now.bias} × median patch norm` : "none",
      noise: now.noise ? `${Math.round(100 * now.noise)} % of its contrast` : "none",
    };
    for (const [name, words] of Object.entries(of)) {
      write(`${name}-words`, words);
      element(name).setAttribute("aria-valuetext", words);
    }
  }

  /** Show what is drawn so far; `mean`: the mean map of one filter, or null where it is 0. */
  function show(now, mean, done) {
    const [map, other] = net.maps, norm = Math.sqrt(laws.dot(map, map)) || 1;
    const scale = norm * (mean ? scene.reach : reach(unit(map)));
    paintMap("simulated-map", map, scale);
    paintMap("difference-map", mean ? map.map((value, i) => value - net.filters * mean[i]) : map, scale);
    write("simulated-words", done ? "one network" : `one network, ${net.filters} of ${now.filters} filters`);
    write("drawn", String(net.filters));
    const measured = net.filters > 0 && {
      picture: cosine(map, scene.x),
      mean: mean ? cosine(map, mean) : null,
      distance: Math.sqrt(Math.max(0, 2 - 2 * cosine(map, other))),
    };
    const law = net.filters > 0 && scene.summary && laws.predicted(scene.summary, now.rule, net.filters);
    for (const name of ["picture", "mean", "distance"]) {
      write(`${name}-measured`, measured ? digits(measured[name]) : "–");
      write(`${name}-law`, law ? digits(law[name]) : "–");
    }
    if (measured) {
      element("trail").setAttribute("d", trail.map(([n, c]) => `M${place(n, c)}h0`).join(""));
      const [x, y] = place(net.filters, measured.picture);
      element("point").setAttribute("cx", x);
      element("point").setAttribute("cy", y);
    }
    // Only when all is drawn: a reader of the screen would read every step aloud.
    if (done && measured && law) write("sentence", sentence(now, measured, law));
  }

  const place = (n, c) => [40 + 28 * Math.log2(n), 200 - 180 * Math.max(c, -0.2)].map(value => Math.round(value * 100) / 100);

  function drawCurve(rule) {
    const at = n => laws.predicted(scene.summary, rule, n).picture, limit = at(MANY);
    const points = Array.from({ length: 49 }, (_, i) => place(2 ** (i / 4), at(2 ** (i / 4))));
    element("curve").setAttribute("d", `M${points.join("L")}`);
    const [, y] = place(1, limit);
    for (const end of ["y1", "y2"]) element("limit").setAttribute(end, y);
    element("limit-word").setAttribute("y", y + 16);
    write("limit-word", limit ? `limit ${limit.toFixed(3)}` : "");
    element("limit").style.display = limit ? "" : "none";
  }

  function sentence(now, measured, law) {
    const filters = now.filters === 1 ? "one random filter that has" : `${now.filters} random filters that have`;
    const picture = now.noise ? "the noisy picture" : "the picture";
    const seen = {
      saliency: () => "noise, and would with any number of filters",
      deconvnet: () => `noise ${now.stride === 1 ? "over an even tint" : `in a pattern that repeats every ${now.stride} pixels`}, and not ${picture}`,
      guided: () => {
        const contrast = now.bias >= 2 ? "nearly as it is" : now.bias ? "its contrast partly evened out" : "its local contrast evened out";
        if (law.picture < 0.2) return `little but noise, in which ${picture} is hidden`;
        return `${picture}, ${contrast}${law.picture < 0.5 ? ", behind heavy noise" : law.mean < 0.9 ? ", behind noise" : ""}`;
      },
    }[now.rule]();
    const limit = laws.predicted(scene.summary, now.rule, MANY).picture;
    const expected = `${digits(law.picture, 2)}${limit ? `, and with ever more filters ${digits(limit, 2)}` : ""}`;
    return `With ${filters} learned nothing, ${NAMES[now.rule]} shows ${seen}: cosine ${digits(measured.picture, 2)} with ${picture}, where the law expects ${expected}.`;
  }

  // Begin.

  async function begin() {
    for (const { name, source } of DATA.pictures) await keep(name, source);
    readAddress();
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", event => {
      if (event.target.type === "file") return;
      if (event.target.name === "picture") say("");
      update();
    });
    element("own").addEventListener("change", event => useOwn(event.target.files[0]));
    element("again").addEventListener("click", () => {
      seed = (seed + 1) % 2 ** 31;
      update();
    });
    addEventListener("hashchange", () => {
      say("");
      readAddress();
      update();
    });
    for (const type of ["dragover", "dragleave", "drop"])
      addEventListener(type, event => {
        event.preventDefault();
        document.body.classList.toggle("dropping", type === "dragover");
        if (type === "drop") useOwn(event.dataTransfer.files[0]);
      });
    update();
  }

  return { ready: begin(), state, scene: () => scene, net: () => net };
})();
