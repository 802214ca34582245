"""The page of one file in a real browser: player, waveform, proofs, progress."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests import axe, screenshots, sounds
from tests.system import Person, System, wait_for
from tests.test_browser import sign_up, upload
from tests.test_browser_uploads import uppy
from tests.test_end_to_end import code_of

__all__ = ["uppy"]
pytestmark = pytest.mark.browser

PEAKS = bytes(round(40 + 200 * abs(math.sin(i / 90)) * abs(math.sin(i / 7))) for i in range(2000))
FACTS = """
from audio_transcoder.models import AudioFile, Rendition, Waveform
files = AudioFile.objects.filter(code="{code}")
files.update(codec="pcm_s24le", bits=24, sample_rate_hz=48000, channels=2, bitrate_kbps=2304,
             loudness_lufs=-14.3, true_peak_dbtp=-1.05, title="Low tide", artist="Nobody")
Waveform.objects.filter(audio_file=files.get()).update(peaks=bytes.fromhex("{peaks}"))
own = Rendition.objects.filter(audio_file=files.get())
own.filter(format_name="wav").update(codec="pcm_s16le", bits=16, sample_rate_hz=44100, channels=2,
                                     correlation=0.99998, has_cover=False, lost_tags="artist")
own.filter(format_name="flac").update(codec="flac", bits=24, sample_rate_hz=48000, channels=2,
                                      is_faithful=True, sample_hash="0123456789abcdef" * 4)
own.filter(format_name="mp4").update(codec="aac", bitrate_kbps=160, sample_rate_hz=44100,
                                     channels=2, correlation=0.9971)
"""
COUNT_WHAT_IS_SAID = """() => {
    window.said = window.shown = 0;
    const count = (what, element, options) => new MutationObserver(
        changes => { window[what] += changes.length; }).observe(element, options);
    count("said", document.querySelector("[role=slider]"), {attributeFilter: ["aria-valuetext"]});
    count("shown", document.getElementById("player-time"), {childList: true});
}"""
TIME = "document.getElementById('player-audio').currentTime"


@pytest.fixture(scope="module")
def site(uppy: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    running = System(tmp_path_factory.mktemp("detail")).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def listener(site: System) -> Person:
    return Person(site, "listener").sign_up()


@pytest.fixture(scope="module")
def ready(site: System, listener: Person, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of the page of a file about which everything is known."""
    path = tmp_path_factory.mktemp("music") / "Low tide.wav"
    sounds.make(path, 65, "-c:a", "pcm_s24le", rate=48000)
    page = listener.upload(path)
    listener.wait_until_ready()
    # Ours take the place of the engine's, which come when the job is over.
    wait_for(lambda: "dBTP" in listener.get(page).text, "the facts", 120)
    site.manage("shell", "-c", FACTS.format(code=code_of(page), peaks=PEAKS.hex()))
    return page


def open_page(browser: Browser, listener: Person, path: str, **options: object) -> Page:
    """Open a page as ``listener``; what the policy of the page forbids is kept in ``refused``."""
    context = browser.new_context(**options)
    context.add_cookies(
        [
            {"name": cookie.name, "value": cookie.value, "url": listener.system.url}
            for cookie in listener.session.cookies
        ]
    )
    page = context.new_page()
    page.refused = []
    page.on("console", lambda said: page.refused.append(said.text) if is_refusal(said) else None)
    page.on("pageerror", lambda error: page.refused.append(str(error)))
    page.goto(listener.system.url + path)
    return page


def is_refusal(said: object) -> bool:
    return said.type == "error" and "Content Security Policy" in said.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_one_plays_moves_by_keyboard_and_goes_on_in_another_version(
    browser: Browser, listener: Person, ready: str, scheme: str, width: int
):
    size = {"width": width, "height": 900}
    page = open_page(browser, listener, ready, viewport=size, color_scheme=scheme)
    slider = page.get_by_role("slider", name="Position in the sound")
    expect(slider).to_have_attribute("aria-valuetext", "0 seconds of 1 minute 5 seconds")
    page.evaluate("document.getElementById('player-audio').muted = true")

    slider.focus()
    for key in ("End", "Home", *["ArrowRight"] * 7, "ArrowLeft"):
        page.keyboard.press(key)
    expect(slider).to_have_attribute("aria-valuetext", "30 seconds of 1 minute 5 seconds")
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.wait_for_function(f"() => {TIME} > 30.2")
    page.evaluate(COUNT_WHAT_IS_SAID)
    page.wait_for_function(f"() => window.shown > 1 && {TIME} > 32.2")
    said, at = page.evaluate(f"[window.said, {TIME}]")
    assert at < 40  # a slow machine misses a second or two, not ten
    assert said <= (at - 30) / 10  # nobody is told each second

    page.get_by_role("radio", name="FLAC").check()
    expect(page.get_by_role("radio", name="FLAC")).to_be_checked()
    page.wait_for_function(f"() => {TIME} > 32.4")
    assert page.evaluate(TIME) < 64
    assert "/listen/original/" not in page.evaluate("document.querySelector('audio').currentSrc")
    assert not page.evaluate("document.querySelector('audio').paused")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    paused_at = page.evaluate(TIME)

    page.get_by_role("radio", name="MP4").check()
    assert page.evaluate(TIME) == pytest.approx(paused_at, abs=0.1)
    assert page.evaluate("document.querySelector('audio').paused")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20)
    page.wait_for_function(f"() => Math.abs({TIME} - 32.5) < 1")

    assert page.refused == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    screenshots.keep(page, f"playing-{scheme}-{width}")
    page.context.close()


def handle(page: Page, side: str) -> tuple[float, float]:
    """Return where to take hold of an end of the part that is drawn."""
    box = page.locator(f"#order-wave [part~='region-handle-{side}']").bounding_box()
    assert box["width"] >= 24
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def seconds(page: Page, label: str) -> float:
    minutes, second = page.get_by_label(label, exact=True).input_value().split(":")
    return 60 * int(minutes) + float(second)


def test_a_part_is_drawn_out_and_moved_and_its_fields_say_the_same(
    browser: Browser, listener: Person, ready: str
):
    page = open_page(browser, listener, ready, viewport={"width": 1280, "height": 900})
    page.get_by_text("More options").click()
    page.locator("#order-wave").scroll_into_view_if_needed()
    start, end = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    (left, y), (right, _y) = handle(page, "left"), handle(page, "right")
    per_second = (right - left) / 65

    def drag(x: float, to: float) -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(to, y, steps=5)
        page.mouse.up()

    drag(left, left + 10 * per_second)
    assert seconds(page, "From") == pytest.approx(10, abs=0.2)
    expect(end).to_have_value("")
    drag(right, right - 15 * per_second)
    assert seconds(page, "To") == pytest.approx(50, abs=0.2)
    drag(left + 20 * per_second, left + 25 * per_second)  # all of it
    assert seconds(page, "From") == pytest.approx(15, abs=0.3)
    assert seconds(page, "To") == pytest.approx(55, abs=0.3)

    start.fill("0:20")
    assert handle(page, "left")[0] == pytest.approx(left + 20 * per_second, abs=1)
    start.fill("")
    assert handle(page, "left")[0] == pytest.approx(left, abs=1)
    end.fill("0:32,5")
    assert handle(page, "right")[0] == pytest.approx(left + 32.5 * per_second, abs=1)
    assert page.refused == []
    page.context.close()


def test_a_part_is_drawn_out_with_a_finger(browser: Browser, listener: Person, ready: str):
    size = {"width": 375, "height": 800}
    page = open_page(browser, listener, ready, viewport=size, has_touch=True, is_mobile=True)
    page.get_by_text("More options").tap()
    page.locator("#order-wave").scroll_into_view_if_needed()
    x, y = handle(page, "left")
    scrolled = page.evaluate("window.scrollY")
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        where = [{"x": x, "y": y} for x, y in points]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})

    touch("touchStart", (x, y))
    field = page.get_by_label("From", exact=True)
    # Whoever moves at once scrolls; it takes the finger a tenth of a second to take hold.
    for step in range(200):
        touch("touchMove", (x + 40 + step % 20, y))
        if field.input_value():
            break
    touch("touchMove", (x + 100, y))
    touch("touchEnd")
    assert 0 < seconds(page, "From") < 65
    assert page.evaluate("window.scrollY") == scrolled
    page.context.close()


def test_player_options_and_what_was_refused_are_for_everyone(
    browser: Browser, listener: Person, ready: str
):
    page = open_page(browser, listener, ready)
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible()
    page.get_by_text("More options").click()
    page.get_by_label("Loudness", exact=True).select_option("other")
    expect(page.locator("#order-wave [part~='region']")).to_have_count(1)
    assert axe.look(page, "detail-options") == []
    page.get_by_role("checkbox", name="MP3").check()
    page.get_by_label("From", exact=True).fill("9:99")
    page.get_by_label("Loudness in LUFS").fill("5")
    page.get_by_role("button", name="Convert").click()
    field = page.get_by_label("Loudness in LUFS")
    expect(field).to_have_accessible_description(re.compile("Write a loudness from"))
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible()
    assert axe.look(page, "detail-refused") == []
    page.context.close()


def test_w13_without_scripts_the_waveform_is_a_picture_and_each_version_has_a_player(
    browser: Browser, listener: Person, ready: str
):
    size = {"width": 375, "height": 900}
    page = open_page(browser, listener, ready, java_script_enabled=False, viewport=size)

    expect(page.locator("#player-wave svg")).to_be_visible()
    expect(page.get_by_text("A picture of how loud the sound is")).to_be_attached()
    expect(page.locator("audio")).to_have_count(4)
    expect(page.get_by_label("Play the WAV of Low tide")).to_be_visible()
    expect(page.get_by_role("radio", name="FLAC")).to_be_hidden()
    screenshots.keep(page, "detail-no-scripts")
    page.context.close()


def test_nothing_jumps_when_the_waveform_comes_to_life(
    browser: Browser, listener: Person, ready: str
):
    page = open_page(browser, listener, ready)
    expect(page.get_by_role("slider", name="Position in the sound")).to_be_visible()
    shift = page.evaluate(
        """() => new Promise(done => {
            let sum = 0;
            const watch = new PerformanceObserver(list => {
                for (const entry of list.getEntries()) sum += entry.value;
            });
            watch.observe({type: "layout-shift", buffered: true});
            requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
        })"""
    )
    assert shift <= 0.05
    page.context.close()


def test_a_version_that_the_browser_cannot_play_says_so_and_can_be_downloaded(
    browser: Browser, site: System, listener: Person, tmp_path: Path
):
    before = len(listener.messages())
    path = listener.upload(sounds.make(tmp_path / "Old.aiff", 2), ("flac",))
    listener.wait_until_ready(before + 1)
    page = open_page(browser, listener, path)

    expect(page.get_by_role("radio", name="FLAC")).to_be_checked()  # the first that plays
    page.get_by_role("radio", name="Original").check()
    expect(page.get_by_text("cannot play this version (Original)")).to_be_visible()
    controls = page.locator("audio, .player-buttons").filter(visible=True)
    expect(controls).to_have_count(0)
    expect(page.get_by_role("link", name="Download the original")).to_be_visible()
    page.get_by_role("radio", name="FLAC").check()
    expect(controls).to_have_count(1)  # which one depends on whether there is a waveform yet
    page.context.close()


def test_progress_versions_and_timeline_come_without_a_reload(
    page: Page, site: System, long_music: Path
):
    sign_up(page, site, "watcher")
    upload(page, site, long_music)
    page.evaluate("window.isTheSamePage = true")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.get_by_text("cannot play")).to_have_count(0)  # nobody knows yet what it is
    page.wait_for_function("() => document.getElementById('job-bar')?.value > 0")
    screenshots.keep(page, "detail-converting")
    page.get_by_role("radio", name="Original").check()

    for name in ("WAV", "FLAC", "MP4"):
        expect(page.get_by_role("radio", name=name)).to_be_attached(timeout=120_000)
        expect(page.get_by_text(f"{name} is ready")).to_be_visible()
    expect(page.get_by_text("You were told by a message")).to_be_visible()
    expect(page.get_by_role("radio", name="Original")).to_be_checked()
    assert page.evaluate("window.isTheSamePage")
    page.get_by_role("link", name="Download WAV").evaluate("link => link.click()")
    wait_for(
        lambda: site.count("audio_transcoder_rendition", "downloaded_at IS NOT NULL"),
        "a note of the download",
    )
    page.reload()
    expect(page.get_by_text("WAV was downloaded for the first time")).to_be_visible()
