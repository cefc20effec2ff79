"""`examples/agentcore-python`, as its README says: an agent that knows nothing of this host."""

import asyncio
import importlib.util
import sys
import threading
from pathlib import Path

import pytest
from bed import SECRET
from browser import Browser
from conftest import WORLD

EXAMPLE = Path(__file__).parents[2] / "examples" / "agentcore-python"


@pytest.fixture
def load(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("CALENDAR_URL", WORLD["saas"])
    monkeypatch.setenv("WEATHER_URL", WORLD["saas"])

    def module(name):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLE / f"{name}.py")
        loaded = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded)
        return loaded

    return module


def test_an_agent_as_amazon_documents_it_reads_its_users_calendar(load, monkeypatch, capsys):
    server = load("callback").server(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("CALLBACK_URL", f"http://127.0.0.1:{server.server_port}/oauth2/callback")
    load("prepare").prepare(WORLD["saas"], SECRET, "laptop-user")
    agent = load("agent")
    pages = []

    def somebody_agrees():
        while not (said := capsys.readouterr().out):
            threading.Event().wait(0.1)
        link = said.partition("Open this and agree: ")[2].split()[0]
        pages.append(Browser("alice", "nowhere:").consent(link))

    human = threading.Thread(target=somebody_agrees, daemon=True)
    human.start()
    answer = asyncio.run(agent.invoke({"day": "2026-11-24"}))
    human.join(timeout=20)
    server.shutdown()
    assert answer == {"events": ["stand-up of alice", "lunch of alice"], "sky": "clear"}
    (url, _, status, text) = pages[0]
    assert "/oauth2/callback?session_id=" in url and status == 200 and "Thank you" in text
