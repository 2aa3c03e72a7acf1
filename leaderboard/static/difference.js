// Final(A) - Final(B) split over metrics, styles and pictures: difference.py in JavaScript, for any pair of entries.
"use strict";
const jdartInStyle = ["dino", "hist", "lpips"];
const jdartPerStyle = jdartMetrics.map(([key]) => key).filter((key) => key !== "fid");
const jdartTerms = {
  dino: (value) => 0.2 * value,
  hist: (value) => 0.4 * value,
  lpips: (value) => 0.4 * Math.max(0, 1 - value),
  clip_r: (value) => 0.5 * value,
  fid: (value) => (0.4 * (20 - Math.min(value, 20))) / 20,
  clip_iqa: (value) => 0.1 * value,
};
const jdartSlopes = {
  dino: () => 0.2,
  hist: () => 0.4,
  lpips: (value) => (value < 1 ? -0.4 : 0),
  clip_r: () => 0.5,
  fid: (value) => (value < 20 ? -0.02 : 0),
  clip_iqa: () => 0.1,
};

function jdartSum(values) {
  return values.reduce((sum, value) => sum + value, 0);
}

/** null where one of the two lacks a score that enters Final. */
function jdartDifference(a, b) {
  const keys = jdartMetrics.map(([key]) => key);
  if (keys.some((key) => a.scores[key] === null || b.scores[key] === null)) return null;
  const terms = [a, b].map((one) => keys.map((key) => [key, jdartTerms[key](one.scores[key])]));
  const half = (inStyle) =>
    jdartSum(terms.flat().filter(([key]) => jdartInStyle.includes(key) === inStyle).map(([, term]) => term)) / 2;
  const other = (key) => half(!jdartInStyle.includes(key));
  const metrics = {};
  const rates = {};
  keys.forEach((key, i) => {
    metrics[key] = (terms[0][i][1] - terms[1][i][1]) * other(key);
    const raw = a.scores[key] - b.scores[key];
    rates[key] = raw ? metrics[key] / raw : jdartSlopes[key](a.scores[key]) * other(key);
  });
  const parts = [jdartParts(a), jdartParts(b)];
  const styles = {};
  for (const style of new Set([...Object.keys(a.styles), ...Object.keys(b.styles)])) {
    styles[style] = {};
    for (const key of jdartPerStyle) {
      const [one, two] = parts.map((part) => (part[style] ? part[style].values[key] : 0));
      styles[style][key] = (one - two) * rates[key];
    }
  }
  const total = jdartSum(Object.values(metrics));
  const inStyles = jdartSum(Object.values(styles).map((style) => jdartSum(Object.values(style))));
  return { total, metrics, rates, styles, elsewhere: total - inStyles, parts };
}

/** Style -> its parts of the totals, and what one of its pictures has of each. */
function jdartParts(entry) {
  const styles = Object.entries(entry.styles).filter(([, style]) => Object.keys(style.scores).length);
  const all = jdartSum(styles.map(([, style]) => style.pictures.length));
  const parts = {};
  for (const [name, style] of styles) {
    const count = style.pictures.length;
    const share = all ? count / all : 1 / styles.length;
    const values = {};
    for (const key of jdartPerStyle) {
      values[key] = (style.scores[key] ?? 0) * (key === "clip_r" ? share : 1 / styles.length);
    }
    parts[name] = { values, hit: all ? 1 / all : 0, mean: count ? 1 / count / styles.length : 0 };
  }
  return parts;
}

/** What a picture of A and the one of B for the same prompt add to the difference; null where too little is known. */
function jdartPicturePart(found, style, a, b) {
  let sum = 0;
  let known = false;
  for (const key of jdartPerStyle) {
    const [one, two] = [a, b].map((picture, i) => {
      const value = picture ? jdartPictureValue(picture, key) : null;
      const part = found.parts[i][style];
      return value === null || !part ? null : value * (key === "clip_r" ? part.hit : part.mean);
    });
    if (one === null || two === null) continue;
    known = true;
    sum += (one - two) * found.rates[key];
  }
  return known ? sum : null;
}

function jdartPictureValue(picture, key) {
  if (key === "clip_r") return picture.hit === null ? null : Number(picture.hit);
  const { scores } = picture;
  if (key === "hist" && scores.hist === undefined) {
    return scores.hist_rgb === undefined || scores.hist_hsv === undefined ? null : (scores.hist_rgb + scores.hist_hsv) / 2;
  }
  return scores[key] ?? null;
}
