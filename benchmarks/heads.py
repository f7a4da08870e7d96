"""The two response heads of the parser's benchmarks."""

from __future__ import annotations

EIGHT = (  # what a web server sends with a small page
    b"HTTP/1.1 200 OK\r\n"
    b"Server: nginx/1.22.1\r\n"
    b"Date: Sun, 22 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/html\r\n"
    b"Content-Length: 615\r\n"
    b"Last-Modified: Tue, 13 Jun 2023 15:08:10 GMT\r\n"
    b"Connection: keep-alive\r\n"
    b'ETag: "64888a4a-267"\r\n'
    b"Accept-Ranges: bytes\r\n"
    b"\r\n"
)

NINETEEN = (  # what a page behind a content delivery network has
    b"HTTP/1.1 200 OK\r\n"
    b"Date: Sun, 22 Nov 2026 09:00:00 GMT\r\n"
    b"Content-Type: text/html; charset=utf-8\r\n"
    b"Content-Length: 48213\r\n"
    b"Connection: keep-alive\r\n"
    b"Server: cloud-edge/3.2\r\n"
    b"Cache-Control: public, max-age=300, stale-while-revalidate=60\r\n"
    b'ETag: W/"5f8d0c2b9a7e4d13bc55"\r\n'
    b"Expires: Sun, 22 Nov 2026 09:05:00 GMT\r\n"
    b"Last-Modified: Sun, 22 Nov 2026 08:41:27 GMT\r\n"
    b"Vary: Accept-Encoding, Accept-Language\r\n"
    b"Set-Cookie: session=Zm9vYmFyYmF6cXV4; Path=/; Secure; HttpOnly; SameSite=Lax\r\n"
    b"Strict-Transport-Security: max-age=31536000; includeSubDomains; preload\r\n"
    b"X-Content-Type-Options: nosniff\r\n"
    b"X-Frame-Options: SAMEORIGIN\r\n"
    b"Content-Security-Policy: default-src 'self'; img-src * data:; "
    b"script-src 'self' 'nonce-4Ae'\r\n"
    b"X-Cache: HIT from edge-17, MISS from shield-3\r\n"
    b"X-Request-Id: 7b1c6f0e-90d4-4c55-8a53-1f0f2f9c6f11\r\n"
    b"Age: 117\r\n"
    b"Via: 1.1 shield-3, 1.1 edge-17\r\n"
    b"\r\n"
)
