"""What is measured through the deployed local stack: whole executions of the state machine."""
