"use strict";
// What joins the laws and the simulation: controls, the address, maps, numbers and the chart.
const explorer = (() => {
  const SLICE = 12; // milliseconds of work before the page may draw and listen
  const NOISE_SEED = 1, MOST_PIXELS = 100e6;
  const numbers = ["filters", "kernel", "stride", "bias", "noise"];
  const NAMES = { guided: "guided backpropagation", deconvnet: "DeconvNet", saliency: "saliency" };
  const element = id => document.getElementById(id);
  const form = element("controls"), own = "your photograph", pictures = new Map();
  let seed = 0; // of the network
  let scene = null; // what belongs to the picture, the patches and the biases: changes of N and rule leave it
  let net = null, trail = [], work = null, frame = 0;
  let mean = null; // the mean map of one filter, its reach and its cosine with the picture; null where it is 0

  // The address. A control takes what it is given to its own range, so nothing else checks a link.

  function state() {
    const found = Object.fromEntries(numbers.map(name => [name, Number(form.elements[name].value)]));
    const { pool: { checked }, picture: { value: picture }, rule: { value: rule } } = form.elements;
    return { ...found, filters: 2 ** found.filters, pool: checked ? 2 : 1, picture, rule, seed };
  }

  function readAddress() {
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of numbers) {
      const value = parseFloat(given.get(name));
      form.elements[name].value = !Number.isFinite(value) ? form.elements[name].defaultValue
        : name === "filters" ? Math.log2(Math.max(1, value)) : value;
    }
    form.elements.pool.checked = given.get("pool") === "2";
    const picture = given.get("picture");
    if (picture === null) form.elements.picture.selectedIndex = 0;
    else if (pictures.has(picture)) form.elements.picture.value = picture;
    else say(picture === own ? "The link was made with a photograph, which stayed where it was: here is another picture."
      : "The link names a picture that this page does not hold: here is another one.");
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

  // Pictures.

  const say = words => { element("trouble").textContent = words; };

  /** The square in the middle of a picture as numbers of 0–255, side × side × 3. */
  function values(image, width, height) {
    const canvas = document.createElement("canvas"), side = Math.min(width, height);
    canvas.width = canvas.height = DATA.side;
    const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.drawImage(image, (width - side) / 2, (height - side) / 2, side, side, 0, 0, DATA.side, DATA.side);
    return Float64Array.from(context.getImageData(0, 0, DATA.side, DATA.side).data.filter((_, i) => i % 4 < 3));
  }

  /** Read a picture by its address, which is never one of a network, and keep it under a name. */
  async function keep(name, source) {
    const image = new Image();
    image.src = source;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    if (!(width && height) || width * height > MOST_PIXELS) throw new RangeError("it has no size, or more than 100 megapixels");
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
    paint("picture-map", noisy, (value, channel) => value + DATA.meanColour[channel]);
    return { key: keyOf(now), x, g, lengths, tau, means: {}, summary: null };
  }

  const keyOf = now => JSON.stringify([now.picture, now.noise, now.kernel, now.stride, now.bias]);

  /** The mean map of one filter: at once without a pool. */
  function* meanSteps(now) {
    const rule = laws.RULES[now.rule];
    if (now.pool === 2) return yield* pool.meanSteps(scene.x, scene.g, scene.tau, rule);
    return laws.meanMap(laws.corrected(scene.x, laws.contrast(scene.lengths, scene.g, scene.tau)), now.rule, 1);
  }

  function* steps(now) {
    const name = `${now.rule} ${now.pool}`;
    const map = scene.means[name] ?? (yield* meanSteps(now)), zero = !map.some(Boolean);
    scene.means[name] = map;
    mean = zero ? null : { map, reach: reach(unit(map)), limit: cosine(map, scene.x) };
    paintMap("predicted-map", unit(map), mean?.reach ?? 1);
    write("predicted-words", zero ? "the mean of all such networks is 0" : "mean of all such networks");
    if (now.pool === 1 && !scene.summary) {
      const pairs = yield* laws.pairSteps(scene.x, scene.g, scene.lengths, scene.tau);
      scene.summary = laws.summary(scene.x, scene.g, scene.lengths, scene.tau, pairs);
    }
    drawCurve(now);
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
    const name = JSON.stringify([scene.key, now.rule, now.pool, now.seed]);
    // More filters go on from those that are there.
    if (net?.name !== name || net.scene !== scene || net.filters > now.filters) {
      net = simulation.network(scene.x, scene.g, laws.RULES[now.rule], scene.tau, now.seed, now.pool === 2);
      Object.assign(net, { name, scene });
      trail = [];
    }
    document.body.dataset.state = "working";
    element("sentence").setAttribute("aria-busy", "true"); // a reader of the screen waits until all is drawn
    work = steps(now);
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => tick(now));
  }

  function tick(now) {
    const end = performance.now() + SLICE;
    let done;
    do done = work.next().done;
    while (!done && performance.now() < end);
    if (net.filters) show(now, done);
    if (!done) frame = requestAnimationFrame(() => tick(now));
    else document.body.dataset.state = "done";
  }

  // What is seen.

  const digits = (value, places = 3) =>
    value === null ? "–" : Number.isNaN(value) ? "no law" : value.toFixed(places).replace(/^-(?!0\.0+$)/, "−").replace(/^-/, "");
  const write = (id, words) => { if (element(id).textContent !== words) element(id).textContent = words; };

  function label(now) {
    const of = {
      filters: `${now.filters}`,
      kernel: `${now.kernel}×${now.kernel} pixels`,
      stride: now.stride === 1 ? "1 pixel" : `${now.stride} pixels`,
      bias: now.bias ? `${now.bias} × median patch norm` : "none",
      noise: now.noise ? `${Math.round(100 * now.noise)} % of its contrast` : "none",
    };
    for (const name of numbers) {
      write(`${name}-words`, of[name]);
      element(name).setAttribute("aria-valuetext", of[name]);
    }
  }

  /**
   * What the law says of n filters; NaN where it is not known in closed form.  Behind a pool that is the mean map alone, and that
   * the maps of two classes are uncorrelated where the rule is linear in the readout.
   */
  function law(now, n) {
    if (now.pool === 1) return laws.predicted(scene.summary, now.rule, n);
    return { picture: mean ? NaN : 0, mean: mean ? NaN : null, distance: now.rule === "saliency" ? Math.SQRT2 : NaN };
  }

  /** Show what is drawn so far. */
  function show(now, done) {
    const [map, other] = net.maps, norm = Math.sqrt(laws.dot(map, map)) || 1;
    const scale = norm * (mean?.reach ?? reach(unit(map)));
    paintMap("simulated-map", map, scale);
    paintMap("difference-map", mean ? map.map((value, i) => value - net.filters * mean.map[i]) : map, scale);
    write("simulated-words", done ? "one network" : `one network, ${net.filters} of ${now.filters} filters`);
    write("drawn", String(net.filters));
    const measured = {
      picture: cosine(map, scene.x),
      mean: mean ? cosine(map, mean.map) : null,
      distance: Math.sqrt(Math.max(0, 2 - 2 * cosine(map, other))),
    };
    const predicted = law(now, net.filters);
    for (const name in measured) {
      write(`${name}-measured`, digits(measured[name]));
      write(`${name}-law`, digits(predicted[name]));
    }
    element("trail").setAttribute("d", trail.map(([n, c]) => `M${place(n, c)}h0`).join(""));
    place(net.filters, measured.picture).forEach((value, i) => element("point").setAttribute(["cx", "cy"][i], value));
    write("sentence", sentence({ ...now, filters: net.filters }, measured, predicted));
    if (done) element("sentence").setAttribute("aria-busy", "false");
  }

  const place = (n, c) => [40 + 28 * Math.log2(n), 200 - 180 * Math.max(c, -0.2)].map(value => Math.round(value * 100) / 100);

  function drawCurve(now) {
    const points = Array.from({ length: 49 }, (_, i) => place(2 ** (i / 4), law(now, 2 ** (i / 4)).picture));
    element("curve").setAttribute("d", points.flat().some(Number.isNaN) ? "" : `M${points.join("L")}`);
    const limit = mean?.limit, [, y] = place(1, limit ?? 0);
    for (const end of ["y1", "y2"]) element("limit").setAttribute(end, y);
    element("limit-word").setAttribute("y", y + 16);
    write("limit-word", limit ? `limit ${digits(limit)}` : "");
    element("limit").style.display = limit ? "" : "none";
  }

  function sentence(now, measured, predicted) {
    const filters = now.filters === 1 ? "one random filter that has" : `${now.filters} random filters that have`;
    const picture = now.noise ? "the noisy picture" : "the picture", pooled = now.pool === 2;
    let shown = "noise, and would with any number of filters";
    if (!mean && now.rule === "deconvnet")
      shown = `noise ${now.stride === 1 ? "over an even tint" : `in a pattern that repeats every ${now.stride} pixels`}, and not ${picture}`;
    if (mean) {
      const contrast = now.bias >= 2 ? "nearly as it is" : now.bias ? "its contrast partly evened out" : "its local contrast evened out";
      // How much of a map is not noise: by the law where there is one.
      const clear = Number.isNaN(predicted.mean) ? measured.mean : predicted.mean;
      const subject = pooled ? `edges of ${picture}` : `${picture}, ${contrast}`;
      shown = clear < 0.25 ? `little but noise, in which ${pooled ? "edges" : "the picture"} hide${pooled ? "" : "s"}`
        : subject + (clear < 0.5 ? ", behind heavy noise" : clear < 0.9 ? ", behind noise" : "");
    }
    const expected = Number.isNaN(predicted.picture) ? "" : `, where the law expects ${digits(predicted.picture, 2)}`;
    const limit = mean ? `, and with ever more filters ${digits(mean.limit, 2)}` : "";
    return `With ${filters} learned nothing, ${NAMES[now.rule]}${pooled ? " behind a max-pool" : ""} shows ${shown}: cosine ${digits(measured.picture, 2)} with ${picture}${expected}${limit}.`;
  }

  // Begin.

  async function begin() {
    for (const { name, source } of DATA.pictures) await keep(name, source);
    readAddress();
    form.addEventListener("submit", event => event.preventDefault());
    form.addEventListener("input", event => {
      if (event.target.name === "picture") say("");
      if (event.target.type !== "file") update();
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
