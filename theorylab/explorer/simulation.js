"use strict";
// A random three-layer network, drawn filter by filter.  It knows the rules and the grid, and no law.
const simulation = (() => {
  /** A stream of standard normal numbers that the seed decides: the generator sfc32 and the transform of Box and Muller. */
  function normals(seed) {
    let a = 0x9e3779b9, b = 0x243f6a88, c = seed | 0, d = 1, kept = null;
    const uniform = () => {
      const t = (((a + b) | 0) + d) | 0;
      d = (d + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + t) | 0;
      return ((t >>> 0) + 0.5) / 4294967296; // never 0
    };
    for (let i = 0; i < 16; i++) uniform();
    return () => {
      if (kept !== null) {
        const second = kept;
        kept = null;
        return second;
      }
      const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
      kept = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    };
  }

  /**
   * The raw maps of two logits, S = Σ_j D_jᵀ Σ_i h(V_ij) w_i 1(w_i·y_j + b_i > 0), as sums over the filters so far.  With
   * `pooled`, a max-pool of 2×2 windows: one weight V a window, which goes to its first maximum, of zeros to its first entry.
   * `add` draws one more filter; the maps of N filters do not depend on when they were drawn.
   */
  function network(x, g, rule, tau, seed, pooled = false) {
    const normal = normals(seed), maps = [new Float64Array(x.length), new Float64Array(x.length)];
    const run = g.kernel * g.channels, filter = new Float64Array(g.kernel * run), line = g.width * g.channels;
    const net = { maps, filters: 0, add };
    const side = pooled ? 2 : 1, height = Math.floor(g.rows / side), width = Math.floor(g.columns / side);
    function add() {
      for (let i = 0; i < filter.length; i++) filter[i] = normal();
      const bias = tau * normal();
      for (let row = 0; row < height; row++) for (let column = 0; column < width; column++) answer(row * side, column * side, bias);
      net.filters++;
    }
    /** What the window that begins at this patch sends back; without a pool it holds that patch alone. */
    function answer(row, column, bias) {
      let winner = corner(row, column), largest = 0;
      if (rule.gate || pooled)
        for (let i = 0; i < side; i++)
          for (let k = 0; k < side; k++) {
            const z = unit(corner(row + i, column + k), bias);
            if (z > largest) [winner, largest] = [corner(row + i, column + k), z];
          }
      if (rule.gate && !largest) return;
      for (const map of maps) {
        const weight = normal();
        if (rule.rectifies && !(weight > 0)) continue;
        for (let y = 0, i = 0; y < g.kernel; y++)
          for (let at = winner + y * line, end = at + run; at < end; at++) map[at] += weight * filter[i++];
      }
    }
    const corner = (row, column) => (row * g.width + column) * g.stride * g.channels;
    function unit(start, z) {
      for (let y = 0, i = 0; y < g.kernel; y++)
        for (let at = start + y * line, end = at + run; at < end; at++) z += filter[i++] * x[at];
      return z;
    }
    return net;
  }

  return { normals, network };
})();
