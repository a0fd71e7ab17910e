// Shows /openapi.json. Everything from the document becomes text, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  for (const child of children.flat(Infinity)) {
    if (child !== null) element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

// Words between backquotes are code.
function prose(text) {
  return String(text || "").split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

// What a "#/…" reference points at, and its last word.
function resolve(api, value) {
  if (!value || !value.$ref) return [value || {}, null];
  const path = value.$ref.slice(2).split("/");
  const found = path.reduce((at, key) => (at || {})[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  return [{ ...found, ...(value.description && { description: value.description }) }, path.at(-1)];
}

function limits(schema) {
  const words = [
    ["minimum", "at least"], ["exclusiveMinimum", "above"], ["maximum", "at most"],
    ["minLength", "characters ≥"], ["maxLength", "characters ≤"],
    ["minItems", "items ≥"], ["maxItems", "items ≤"], ["maxProperties", "members ≤"],
    ["pattern", "pattern"], ["default", "default"],
  ];
  const said = words.filter(([key]) => schema[key] !== undefined && schema[key] !== null)
    .map(([key, word]) => `${word} ${JSON.stringify(schema[key])}`);
  return said.length ? ` (${said.join(", ")})` : "";
}

// A type in few words.
function typeOf(api, schema) {
  if (schema === true) return "any";
  const [found, name] = resolve(api, schema);
  if (name) return name;
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = found.anyOf || found.oneOf;
  if (choices) return choices.map((choice) => typeOf(api, choice)).join(" | ");
  const types = [].concat(found.type || "any");
  return types.map((type) => (type === "array" && found.items ? `[${typeOf(api, found.items)}]` : type)).join(" | ");
}

// Every schema with members that a schema leads to in one step.
function nested(api, schema) {
  if (!schema || schema === true) return [];
  const [found, name] = resolve(api, schema);
  const own = found.properties && name ? [[name, found]] : [];
  const more = [].concat(found.anyOf || [], found.oneOf || [], found.allOf || []);
  if (found.items) more.push(found.items);
  return own.length ? own : more.flatMap((choice) => nested(api, choice));
}

function members(api, schema, seen) {
  const [found] = resolve(api, schema);
  const required = found.required || [];
  const rows = Object.entries(found.properties || {}).map(([name, member]) => {
    const [inner] = resolve(api, member);
    const cell = make("td", {}, prose(inner.description), limits(inner));
    for (const [type, of] of nested(api, member)) {
      if (seen.includes(type)) continue;
      const details = make("details", {}, make("summary", {}, make("code", {}, type)));
      // Made when it is looked at: types may hold one another.
      details.addEventListener("toggle", () => details.append(members(api, of, [...seen, type])), { once: true });
      cell.append(details);
    }
    const mark = required.includes(name) ? make("span", { class: "required", title: "required" }, " *") : null;
    return make("tr", {}, make("td", {}, make("code", {}, name), mark),
      make("td", {}, make("code", {}, typeOf(api, member))), cell);
  });
  if (rows.length) return make("table", {}, rows);
  const choices = found.anyOf || found.oneOf;
  return choices
    ? make("div", {}, choices.map((choice) => make("div", {}, prose(resolve(api, choice)[0].description), members(api, choice, seen))))
    : make("p", {}, prose(found.description), limits(found));
}

function content(api, media) {
  return Object.entries(media || {}).map(([type, { schema, "x-event-schema": event }]) => {
    const shown = event || schema;
    const summary = make("summary", {}, make("code", {}, type), event ? " with events of " : " ",
      make("code", {}, typeOf(api, shown)));
    const [, name] = resolve(api, shown);
    return make("details", {}, summary, members(api, shown, name ? [name] : []));
  });
}

function security(operation) {
  const ways = (operation.security || []).map((way) => {
    const parts = Object.entries(way).map(([scheme, scopes]) => [scheme, ...scopes.map((scope) => `scope ${scope}`)].join(", "));
    return parts.length ? parts.join(" and ") : "in the body or the first message";
  });
  return ways.length ? ways.join("; or ") : "none";
}

function operation(api, path, method, of) {
  const responses = Object.entries(of.responses).map(([status, response]) => {
    const [found] = resolve(api, response);
    const headers = Object.keys(found.headers || {}).map((name) => [" ", make("code", {}, name)]);
    return make("tr", {}, make("td", {}, make("code", {}, status)),
      make("td", {}, prose(found.description), headers), make("td", {}, content(api, found.content)));
  });
  const parameters = (of.parameters || []).map((parameter) => make("tr", {},
    make("td", {}, make("code", {}, parameter.name), parameter.required ? make("span", { class: "required" }, " *") : null),
    make("td", {}, parameter.in, " ", make("code", {}, typeOf(api, parameter.schema))),
    make("td", {}, prose(parameter.description), limits(parameter.schema))));
  return make("section", { id: of.operationId },
    make("h3", {}, make("span", { class: "method" }, method.toUpperCase()), make("span", { class: "path" }, path)),
    make("p", {}, prose(of.summary)),
    make("p", { class: "soft" }, "Credential: ", security(of)),
    parameters.length ? [make("h4", {}, "Parameters"), make("table", {}, parameters)] : [],
    of.requestBody ? [make("h4", {}, "Body"), content(api, of.requestBody.content)] : [],
    make("h4", {}, "Answers"), make("table", {}, responses));
}

function show(api) {
  const contents = document.getElementById("contents");
  const reference = document.getElementById("reference");
  reference.replaceChildren(make("h1", {}, api.info.title, " ", api.info.version), make("p", {}, prose(api.info.description)),
    make("p", {}, make("a", { href: "/openapi.json" }, "OpenAPI ", api.openapi, " document")));
  const schemes = Object.entries(api.components.securitySchemes);
  reference.append(make("h2", {}, "Credentials"),
    make("table", {}, schemes.map(([name, { description }]) => make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, prose(description))))));
  for (const { name } of api.tags) {
    contents.append(make("h2", {}, name));
    reference.append(make("h2", {}, name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS.filter((method) => item[method] && item[method].tags.includes(name))) {
        const of = item[method];
        contents.append(make("a", { href: `#${of.operationId}`, title: of.summary },
          make("span", { class: "method" }, method.toUpperCase()), make("span", { class: "path" }, path)));
        reference.append(operation(api, path, method, of));
      }
    }
  }
  document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(show)
  .catch((error) => document.getElementById("reference").replaceChildren(make("p", {}, `The document cannot be shown: ${error.message}`)));
