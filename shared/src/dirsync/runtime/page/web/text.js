
"use strict";

/* Numbers and times as text. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function bytes(value) {
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

function count(value) {
  return value.toLocaleString("en");
}

function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

function seconds(value) {
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 120) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
  if (value < 7200) return `${Math.round(value / 60)} min`;
  if (value < 172800) return `${Math.round(value / 3600)} h`;
  return `${Math.round(value / 86400)} days`;
}

function clock(value) {
  return new Date(value).toLocaleTimeString("en-GB");
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/* Elements. Text becomes text, whatever it looks like: nothing here takes HTML. */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function command(text) {
  return text ? make("code", { class: "command" }, text) : null;
}

function faint(text) {
  return make("p", { class: "faint" }, text);
}

function table(heads, rows, attributes = {}) {
  const head = heads.length === 0 ? null
    : make("thead", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name))));
  return make("div", { class: "scroll" }, make("table", attributes, ...[head].filter(Boolean), make("tbody", {}, ...rows)));
}
