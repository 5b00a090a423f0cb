// QR codes of pictures and of the camera: by the browser where it can, else by the gateway, which keeps nothing.
// A picture is drawn anew first, so that what it says of place and camera stays here.
const MAX_SIDE = 3000;
const FRAME_SIDE = 1280;
const FRAME_MS = 250;
const SENT_FRAME_MS = 1500;

const ownReader = async () => {
  if (!("BarcodeDetector" in window)) return null;
  const formats = await BarcodeDetector.getSupportedFormats();
  return formats.includes("qr_code") ? new BarcodeDetector({ formats: ["qr_code"] }) : null;
};

export class Refused extends Error {
  constructor(status, answer) {
    super(answer.message || String(status));
    this.status = status;
    this.answer = answer;
  }
}

const drawn = (source, width, height, side) => {
  const scale = Math.min(1, side / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, canvas.width, canvas.height);
  return canvas;
};

const sent = async (canvas) => {
  const body = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
  const answer = await fetch("/v1/licence/scan", {
    method: "POST",
    headers: { "Content-Type": "image/jpeg" },
    cache: "no-store",
    body,
  });
  const value = await answer.json();
  if (!answer.ok) throw new Refused(answer.status, value);
  return value.texts;
};

const textsOf = async (canvas) => {
  const reader = await ownReader();
  if (!reader) return sent(canvas);
  return (await reader.detect(canvas)).map((code) => code.rawValue);
};

// The texts in a picture file; null where the file is no picture that this browser can open.
export const readPicture = async (file) => {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const canvas = drawn(bitmap, bitmap.width, bitmap.height, MAX_SIDE);
  bitmap.close();
  return textsOf(canvas);
};

// Looks through the camera until `found(text)` was called or `stop()` is.
export class Camera {
  constructor(video, found) {
    this.video = video;
    this.found = found;
    this.stream = null;
  }

  async start() {
    const reader = await ownReader();
    this.sends = reader === null;
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: "environment", width: { ideal: 1920 } },
    });
    this.video.srcObject = this.stream;
    await this.video.play();
    this.look(this.stream, this.sends ? SENT_FRAME_MS : FRAME_MS);
  }

  async look(stream, pause) {
    while (stream === this.stream) {
      try {
        const { videoWidth: width, videoHeight: height } = this.video;
        const texts = width ? await textsOf(drawn(this.video, width, height, FRAME_SIDE)) : [];
        if (stream === this.stream && texts.length) {
          this.stop();
          this.found(texts);
          return;
        }
      } catch {
        // A frame that could not be read is followed by the next one.
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  stop() {
    if (!this.stream) return;
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}
