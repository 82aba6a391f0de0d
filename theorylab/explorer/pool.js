"use strict";
// The mean map behind a max-pool of disjoint 2×2 windows: a second statement of theorylab/analytic/pooled.py.
const pool = (() => {
  const SIDE = 2, SIZE = 4, ALIKE = 1 - 1e-12; // correlations beyond ±ALIKE are ±1
  const INDICES = [0, 1, 2, 3];

  /** Windows per column and per row of the plane of patches; rows and columns that fill no window have no effect. */
  const counts = g => [Math.floor(g.rows / SIDE), Math.floor(g.columns / SIDE)];

  /** Where the patches of a window begin in the picture, row by row. */
  function corners(g, row, column) {
    const at = (y, k) => (y * g.width + k) * g.stride * g.channels;
    return INDICES.map(m => at(SIDE * row + (m >> 1), SIDE * column + (m & 1)));
  }

  function product(a, b, gram) {
    let sum = 0;
    for (let i = 0; i < SIZE; i++) for (let k = 0; k < SIZE; k++) sum += a[i] * gram[i][k] * b[k];
    return sum;
  }

  // Places to write, made once: a picture has a hundred thousand orthants.
  const units = INDICES.map(() => new Float64Array(SIZE)), cosines = INDICES.map(() => new Float64Array(SIZE));

  /** P(all z_s > 0, s ≠ r | z_r = 0) of k ≤ 4 variables: 1, 1/2, 1/4 + asin ρ/2π or 1/8 + Σ asin ρ/4π. */
  function orthant(r, k) {
    let sum = 0;
    for (let s = 0; s < k; s++)
      for (let t = s + 1; t < k; t++)
        if (s !== r && t !== r) {
          const [a, b] = [cosines[s][r], cosines[t][r]];
          sum += Math.asin(Math.max(-1, Math.min(1, (cosines[s][t] - a * b) / Math.sqrt((1 - a * a) * (1 - b * b)))));
        }
    return 2 ** (1 - k) + sum / (k === 3 ? 2 * Math.PI : 4 * Math.PI);
  }

  /**
   * Add E[w Π_r 1(n_r·w > 0)] to `mean`, in coefficients on four vectors with the inner products `gram`, as are the rows n_r.
   * By Stein's lemma it is Σ_r n_r/‖n_r‖ (2π)^(−1/2) P(the other n_s·w > 0 | n_r·w = 0).  Rows that point the same way count
   * once; where two oppose each other the event never happens.
   */
  function addOrthant(mean, rows, gram) {
    let k = 0;
    for (const row of rows) {
      const length = Math.sqrt(product(row, row, gram));
      if (!length) return; // an equal patch comes first, and wins
      let known = false;
      for (let i = 0; i < SIZE; i++) units[k][i] = row[i] / length;
      for (let s = 0; s < k; s++) {
        cosines[s][k] = cosines[k][s] = product(units[k], units[s], gram);
        if (cosines[s][k] < -ALIKE) return;
        known ||= cosines[s][k] > ALIKE;
      }
      if (!known) k++;
    }
    for (let r = 0; r < k; r++) {
      const share = orthant(r, k) / Math.sqrt(2 * Math.PI);
      for (let i = 0; i < SIZE; i++) mean[i] += share * units[r][i];
    }
  }

  /**
   * E S of one filter: E[h(V)] Σ_j D_jᵀ E[w 1(a gradient reaches patch j)], which it does where w·y_j is positive and the first
   * maximum of its window.  Without a gate a window of zeros sends its gradient to its first patch.  A bias lengthens each patch by
   * τ.  A generator, which rests after each row of windows.
   *
   * The four vectors are y_0 and y_m − y_0, so that products keep the digits of patches that are nearly equal.
   */
  function* meanSteps(x, g, tau, rule) {
    const result = new Float64Array(x.length), line = g.width * g.channels, run = g.kernel * g.channels;
    if (!rule.mean) return result;
    const vectors = INDICES.map(() => new Float64Array(g.kernel * run));
    const patches = INDICES.map(m => Float64Array.from(INDICES, i => Number(!i || i === m)));
    const gaps = patches.map(a => patches.map(b => a.map((value, i) => value - b[i])));
    const closed = patches.map(one => one.map(value => -value)), mean = new Float64Array(SIZE);
    const gram = INDICES.map(() => new Float64Array(SIZE)), [height, width] = counts(g);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const starts = corners(g, row, column), silent = INDICES.map(() => tau === 0);
        for (const m of INDICES)
          for (let y = 0, i = 0; y < g.kernel; y++)
            for (let at = y * line, end = at + run; at < end; at++, i++) {
              const value = x[starts[m] + at];
              silent[m] &&= value === 0;
              vectors[m][i] = m ? value - x[starts[0] + at] : value;
            }
        for (const m of INDICES) for (let k = 0; k <= m; k++) gram[m][k] = gram[k][m] = laws.dot(vectors[m], vectors[k]);
        gram[0][0] += tau * tau;
        const equal = (j, m) => vectors[m].every((value, i) => value === (j ? vectors[j][i] : 0));
        const same = INDICES.map(j => INDICES.map(m => (j < m ? equal(j, m) : false)));
        for (const j of INDICES) {
          mean.fill(0);
          if (!silent[j]) {
            const rows = [patches[j]];
            for (const m of INDICES) if (m !== j && !same[j][m]) rows.push(gaps[j][m]);
            addOrthant(mean, rows, gram);
          }
          if (!j && !rule.gate) addOrthant(mean, closed.filter((_, m) => !silent[m]), gram);
          for (let y = 0, i = 0; y < g.kernel; y++)
            for (let at = starts[j] + y * line, end = at + run; at < end; at++, i++)
              result[at] += rule.mean
                * (mean[0] * vectors[0][i] + mean[1] * vectors[1][i] + mean[2] * vectors[2][i] + mean[3] * vectors[3][i]);
        }
      }
      yield;
    }
    return result;
  }

  return { meanSteps };
})();
