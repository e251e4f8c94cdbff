"""Each rule of the gate broken once, and some test that notices.

python -m tests.mutation           every rule; writes the table of docs/explanation/testing.md
python -m tests.mutation POLICY    rules whose name or file has this word
"""
