// Puts the page into the reader's language. Without it the page stays in the one that it was built in.
"use strict";
const jdartPage = document.documentElement;
let jdartLanguage = Object.keys(jdartTags).find((code) => jdartTags[code] === jdartPage.lang) || "en";

/** The text of a key, with what belongs into its braces. */
function jdartSay(key, args) {
  return jdartTexts[jdartLanguage][key].replace(/\{(\w+)\}/g, (_, name) => String(args[name]));
}

/** Gives an element the text of a key, now and whenever the language changes. */
function jdartMark(element, key, args) {
  element.dataset.i18n = key;
  if (args) element.dataset.i18nArgs = JSON.stringify(args);
  element.textContent = jdartSay(key, args);
  return element;
}

/** The same for an attribute. */
function jdartMarkAttribute(element, name, key, args) {
  element.setAttribute(`data-i18n-${name}`, key);
  if (args) element.dataset.i18nArgs = JSON.stringify(args);
  element.setAttribute(name, jdartSay(key, args));
  return element;
}

/** What stands after # as name=value pairs; empty where it is the id of a place. */
function jdartHash() {
  const text = location.hash.slice(1);
  return new URLSearchParams(text.includes("=") ? text : "");
}

/** Puts pairs after #, so that the address leads to this view; an empty value takes its pair away. */
function jdartSetHash(values) {
  const pairs = jdartHash();
  for (const [name, value] of Object.entries(values)) {
    if (value) pairs.set(name, value);
    else pairs.delete(name);
  }
  const text = pairs.toString();
  try {
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  } catch {
    // some browsers refuse this for pages opened from a file; the view is shown all the same
  }
}

function jdartTranslate(language) {
  jdartLanguage = language;
  jdartPage.lang = jdartTags[language];
  const args = (element) => JSON.parse(element.dataset.i18nArgs || "{}");
  for (const element of document.querySelectorAll("[data-i18n]")) {
    element.textContent = jdartSay(element.dataset.i18n, args(element));
  }
  for (const name of ["aria-label", "alt", "title"]) {
    for (const element of document.querySelectorAll(`[data-i18n-${name}]`)) {
      element.setAttribute(name, jdartSay(element.getAttribute(`data-i18n-${name}`), args(element)));
    }
  }
  for (const button of document.querySelectorAll("[data-languages] button")) {
    button.setAttribute("aria-pressed", String(button.value === language));
  }
}

function jdartRemembered() {
  const asked = new URLSearchParams(location.search).get("lang");
  if (asked in jdartTags) return asked;
  try {
    const kept = localStorage.getItem("jdart-language");
    if (kept in jdartTags) return kept;
  } catch {
    // storage is switched off
  }
  return jdartLanguage;
}

for (const place of document.querySelectorAll("[data-languages]")) {
  place.setAttribute("role", "group");
  jdartMarkAttribute(place, "aria-label", "nav.language");
  for (const [code, name] of Object.entries(jdartLanguageNames)) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", value: code, textContent: name, lang: jdartTags[code] });
    button.setAttribute("aria-pressed", String(code === jdartLanguage));
    button.addEventListener("click", () => {
      jdartTranslate(code);
      try {
        localStorage.setItem("jdart-language", code);
      } catch {
        // kept for this page only
      }
    });
    place.append(button);
  }
}
if (jdartRemembered() !== jdartLanguage) jdartTranslate(jdartRemembered());
