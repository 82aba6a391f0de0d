"use strict";
// The laws of the maps of a random three-layer network, without pooling: pure functions of typed arrays, a second
// statement of theorylab/analytic/three_layer.py, to which the tests hold it.  Filters and readout are standard normal; a
// filter may have a bias N(0, tau²).
//
// A picture `x` is a Float64Array of height × width × channels, the channel last.  A grid says where patches y_j lie.
const laws = (() => {
  const HALF_MEAN = 1 / Math.sqrt(2 * Math.PI); // E[max(V, 0)]

  // What a rule does to a readout weight V: E[h(V)] and E[h(V)²]; whether the mask of the forward pass applies.
  const RULES = {
    saliency: { mean: 0, square: 1, rectifies: false, gate: true },
    deconvnet: { mean: HALF_MEAN, square: 1 / 2, rectifies: true, gate: false },
    guided: { mean: HALF_MEAN, square: 1 / 2, rectifies: true, gate: true },
  };

  /** Square patches of side `kernel`, `stride` apart, that lie within the picture. */
  function grid(height, width, channels, kernel, stride) {
    const count = side => Math.floor((side - kernel) / stride) + 1;
    return { height, width, channels, kernel, stride, rows: count(height), columns: count(width) };
  }

  /** Σ_{j∋t} values_j for every pixel t. */
  function fold(values, g) {
    const sums = new Float64Array(g.height * g.width);
    for (let row = 0, j = 0; row < g.rows; row++)
      for (let column = 0; column < g.columns; column++, j++)
        for (let y = row * g.stride; y < row * g.stride + g.kernel; y++)
          for (let t = y * g.width + column * g.stride, end = t + g.kernel; t < end; t++) sums[t] += values[j];
    return sums;
  }

  /** How many patches hold each pixel. */
  const coverage = g => fold(new Float64Array(g.rows * g.columns).fill(1), g);

  /** ‖y_j‖ of every patch: by direct sums, for running sums would not see that a patch is zero. */
  function norms(x, g) {
    const found = new Float64Array(g.rows * g.columns);
    const run = g.kernel * g.channels;
    for (let row = 0, j = 0; row < g.rows; row++)
      for (let column = 0; column < g.columns; column++, j++) {
        let sum = 0;
        for (let y = 0; y < g.kernel; y++) {
          let i = ((row * g.stride + y) * g.width + column * g.stride) * g.channels;
          for (const end = i + run; i < end; i++) sum += x[i] * x[i];
        }
        found[j] = Math.sqrt(sum);
      }
    return found;
  }

  /** 1/√(‖y_j‖² + τ²): a bias lengthens each patch by the constant τ.  A patch of zeros without bias never fires: 0. */
  const inverse = (lengths, tau) => lengths.map(one => (one || tau ? 1 / Math.hypot(one, tau) : 0));

  /** κ_t = Σ_{j∋t} 1/√(‖y_j‖² + τ²). */
  const contrast = (lengths, g, tau) => fold(inverse(lengths, tau), g);

  /** x ⊙ κ: the picture over its local contrast. */
  const corrected = (x, kappa) => x.map((value, i) => value * kappa[Math.floor((i * kappa.length) / x.length)]);

  /** E S for n filters, from x ⊙ κ: N E[h(V)]/√(2π) x ⊙ κ behind a gate, else 0. */
  function meanMap(target, name, n) {
    const factor = RULES[name].gate ? n * RULES[name].mean * HALF_MEAN : 0;
    return target.map(value => factor * value);
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  /** Sums over rectangles of the products x_t x_{t+δ}, δ = (down, right), 0 where t + δ lies outside. */
  function products(x, g, down, right) {
    const wide = g.width + 1, table = new Float64Array((g.height + 1) * wide);
    const step = (down * g.width + right) * g.channels;
    for (let y = 0; y < g.height; y++)
      for (let column = 0, line = 0; column < g.width; column++) {
        if (y + down < g.height && column + right >= 0 && column + right < g.width)
          for (let i = (y * g.width + column) * g.channels, end = i + g.channels; i < end; i++)
            line += x[i] * x[i + step];
        table[(y + 1) * wide + column + 1] = table[y * wide + column + 1] + line;
      }
    return (y, column, height, width) => {
      const top = y * wide + column, bottom = top + height * wide;
      return table[bottom + width] - table[bottom] - table[top + width] + table[top];
    };
  }

  /**
   * Σ_{j≠j'} tr(D_jᵀ M_jj' D_j'), M = E[w wᵀ 1(w·y_j + b > 0) 1(w·y_j' + b > 0)]: what overlapping patches add to the
   * variance of the whole map.  A generator, which rests after each offset δ between two patches, so that a page can draw.
   *
   * With û, v̂ the two patches over √(‖y‖² + τ²) and θ the angle between them, each longer by the bias,
   * M = (π−θ)/(2π) I + [û v̂ᵀ + v̂ ûᵀ − cos θ (û ûᵀ + v̂ v̂ᵀ)]/(2π sin θ).  Entry t of the picture has different indices in the
   * two patches, so the first term drops out, and of the others the sums over the overlap of x_t², x_t x_{t+δ}, x_t x_{t−δ} and
   * x_{t−δ} x_{t+δ} are needed.  Equal and opposite patches (sin θ = 0) add nothing.
   */
  function* pairSteps(x, g, lengths, tau) {
    const n = inverse(lengths, tau), squares = products(x, g, 0, 0), reach = Math.floor((g.kernel - 1) / g.stride);
    const down = Math.min(reach, g.rows - 1), right = Math.min(reach, g.columns - 1);
    let total = 0;
    for (let i = 0; i <= down; i++)
      for (let k = i ? -right : 1; k <= right; k++) {
        const a = i * g.stride, b = k * g.stride, height = g.kernel - a, width = g.kernel - Math.abs(b);
        const once = products(x, g, a, b), twice = products(x, g, 2 * a, 2 * b);
        for (let row = 0; row + i < g.rows; row++)
          for (let column = Math.max(0, -k); column + Math.max(0, k) < g.columns; column++) {
            const u = n[row * g.columns + column], v = n[(row + i) * g.columns + column + k];
            if (!u || !v) continue;
            const top = row * g.stride, left = column * g.stride;
            const cosine = Math.max(-1, Math.min(1, u * v * (once(top, left, g.kernel, g.kernel) + tau * tau)));
            const sine = Math.sqrt((1 - cosine) * (1 + cosine));
            if (sine < 1e-7) continue;
            // The overlap begins at (y, z); moved by −δ it begins at (top, z − b).
            const y = top + a, z = left + Math.max(b, 0);
            const mixed = u * v * (squares(y, z, height, width) + twice(top, z - b, height, width));
            const alike = u * u * once(top, z - b, height, width) + v * v * once(y, z, height, width);
            total += (mixed - cosine * alike) / (Math.PI * sine); // both orders of the pair
          }
        yield;
      }
    return total;
  }

  /** Run a generator to its end and return what it returns. */
  function finish(steps) {
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  }

  /** What the laws need of a picture, for every rule and number of filters; `pairs` from pairSteps. */
  function summary(x, g, lengths, tau, pairs) {
    const mean = corrected(x, contrast(lengths, g, tau)), size = g.kernel * g.kernel * g.channels;
    return {
      first: dot(mean, mean) * HALF_MEAN ** 2,
      overlap: dot(mean, x) * HALF_MEAN,
      norm: Math.sqrt(dot(x, x)),
      all: size * lengths.length,
      active: size * inverse(lengths, tau).filter(one => one > 0).length,
      pairs,
    };
  }

  /**
   * For n filters: E‖S‖², the expected cosine of a map with the picture and with its mean (null if that is 0), and the
   * distance of the unit-norm maps of two logits of one network.  Cosines and distance are ratios of expectations.
   */
  function predicted(of, name, n) {
    const rule = RULES[name];
    const second = rule.gate ? of.active / 2 : of.all, first = rule.gate ? of.first : 0;
    const signal = (n * rule.mean) ** 2 * first;
    const pairs = rule.gate ? rule.mean ** 2 * (of.pairs - first) : 0;
    const energy = signal + n * (rule.square * second + pairs); // E‖S‖²
    const own = n * (rule.square - rule.mean ** 2) * second;
    return {
      energy,
      picture: signal ? (n * rule.mean * of.overlap) / (of.norm * Math.sqrt(energy)) : 0,
      mean: signal ? Math.sqrt(signal / energy) : null,
      distance: Math.sqrt(Math.max(0, (2 * own) / energy)),
    };
  }

  return { RULES, grid, fold, coverage, norms, inverse, contrast, corrected, meanMap, dot, pairSteps, finish, summary, predicted };
})();
