"use strict";

// The token stands behind the "#" of the address, which a browser tells no server.
const token = location.hash.slice(1);
const form = document.getElementById("form");
const said = document.getElementById("said");
const asked = document.getElementById("asked");

function say(sentence, reasons) {
  const list = document.createElement("ul");
  for (const reason of reasons) {
    const item = document.createElement("li");
    item.textContent = reason;
    list.append(item);
  }
  const text = document.createElement("p");
  text.textContent = sentence;
  said.replaceChildren(text, list);
}

async function ask(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return [answer.ok, await answer.json()];
}

function refused(told) {
  say(`Not done: ${told.detail}.`, told.errors.map((error) => error.reason));
}

async function begin() {
  try {
    const [ok, told] = await ask("api/v1/reset/view", { token });
    if (!ok) {
      refused(told);
      return;
    }
    document.getElementById("login").textContent = told.login;
    if (told.question !== null) {
      document.getElementById("question").textContent = told.question;
      document.getElementById("answer").required = true;
      asked.hidden = false;
    }
    form.hidden = false;
  } catch {
    say("The server cannot be reached. Try again.", []);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  if (password !== document.getElementById("again").value) {
    say("The two are not the same.", []);
    return;
  }
  const body = { token, password };
  if (!asked.hidden) {
    body.answer = document.getElementById("answer").value;
  }
  form.inert = true;
  try {
    const [ok, told] = await ask("api/v1/reset", body);
    if (ok) {
      history.replaceState(null, "", location.pathname);
      form.remove();
      say(`The password of ${told.login} is set; its strength is ${told.strength} of 4. Give it to your phones.`, []);
      return;
    }
    refused(told);
  } catch {
    say("The server cannot be reached. Try again.", []);
  }
  form.inert = false;
});

begin();
