"""The same bytes through pool, urllib3, h11 and llhttp: who reads what?"""
